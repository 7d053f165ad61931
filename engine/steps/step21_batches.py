"""A part at a time.

A large data set need not be seen whole for a step: a small random part gives nearly the same gradient for a fraction
of the work. A loader shuffles the samples anew for every epoch and hands them out in batches.
"""

from __future__ import annotations

import torch

from engine import functions as F
from engine.datasets import Digits
from engine.loaders import DataLoader
from engine.models import MLP
from engine.optimizers import MomentumSGD


def train(epochs: int = 3) -> list[float]:
    """Return the mean loss of each epoch."""
    torch.manual_seed(0)
    model = MLP([32, 10], F.relu, in_size=64)
    optimizer = MomentumSGD(0.1).setup(model)
    loader = DataLoader(Digits(), 64, seed=0)
    means = []
    for _ in range(epochs):
        losses = []
        for image, label in loader:
            loss = F.softmax_cross_entropy(model(F.flatten(image)), label)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def main() -> None:
    for epoch, loss in enumerate(train()):
        print(f"epoch {epoch}: loss {loss:.3f}")


def test_the_loss_falls_from_epoch_to_epoch() -> None:
    means = train()
    assert means[0] > 2 * means[-1]


def test_a_batch_has_its_size_and_the_last_one_the_rest() -> None:
    assert [len(x) for x, _ in DataLoader(Digits(), 500)] == [500, 500, 437]
