"""A convolutional network.

Windows find strokes, the largest answer of each neighbourhood is kept (pooling), and windows over that find shapes.
Everything needed has been built: layers, classes, batches, an optimiser, the two modes.
"""

from __future__ import annotations

import torch

from engine import functions as F
from engine import no_grad
from engine import test_mode as in_use
from engine.datasets import Digits
from engine.loaders import DataLoader
from engine.models import CNN
from engine.optimizers import Adam


def train(epochs: int = 3) -> tuple[CNN, list[float]]:
    torch.manual_seed(0)
    model = CNN(10, channels=(8, 16))
    optimizer = Adam(0.01).setup(model)
    losses = []
    for _ in range(epochs):
        for image, label in DataLoader(Digits(), 64, seed=0):
            loss = F.softmax_cross_entropy(model(image), label)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(loss.item())
    return model, losses


def accuracy(model: CNN) -> float:
    test = Digits(train=False)
    with no_grad(), in_use():
        return F.accuracy(model(test.data), test.label).item()


def main() -> None:
    model, losses = train()
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}, right on {accuracy(model):.1%} of 360 new digits")


def test_it_reads_new_digits() -> None:
    assert accuracy(train()[0]) > 0.9
