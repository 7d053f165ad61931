"""The engine alone trains a real model."""

import pytest
import torch

from engine.config import KERNELS, using_config
from engine.train_digits import train


def test_a_cnn_reads_digits(capsys):
    assert train() > 0.95
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_both_kernels_train_the_same_model():
    scores = []
    for kernels in KERNELS:
        with using_config("kernels", kernels):
            scores.append(train(epochs=1))
    assert scores[0] == pytest.approx(scores[1], abs=0.01)  # float32 sums in another order


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cnn_reads_digits_on_the_gpu():
    assert train(device="cuda") > 0.95
