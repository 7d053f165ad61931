"""Training is one thing, use another.

Dropout switches random units off, so that no unit relies on another; batch normalisation uses the statistics of the
batch. Both only while training: afterwards every unit works, and the statistics are those remembered. `test_mode` is
the switch.
"""

from __future__ import annotations

import torch

from engine import as_array
from engine import functions as F
from engine import test_mode as in_use
from engine.layers import BatchNorm


def main() -> None:
    torch.manual_seed(0)
    x = torch.ones(1, 12)
    print("training:", as_array(F.dropout(x, 0.5)).tolist()[0])
    with in_use():
        print("in use:  ", as_array(F.dropout(x, 0.5)).tolist()[0])
    norm = BatchNorm()
    for _ in range(50):
        norm(3.0 + 2.0 * torch.randn(64, 1))
    print(f"remembered mean {norm.avg_mean.item():.2f}, variance {norm.avg_var.item():.2f} (true: 3 and 4)")


def test_a_trained_network_gives_the_same_answer_twice() -> None:
    x = torch.randn(4, 8)
    with in_use():
        assert as_array(F.dropout(x)).equal(as_array(F.dropout(x)))


def test_one_sample_can_be_normalised_in_use() -> None:
    norm = BatchNorm()
    norm(torch.randn(32, 3))
    with in_use():
        assert norm(torch.randn(1, 3)).array.isfinite().all()
