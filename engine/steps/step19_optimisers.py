"""Better ways down.

Plain descent takes the same step for every weight. Momentum keeps rolling; Adam measures each weight's own slope. On a
valley that is a hundred times steeper in one direction than in the other, the difference is plain.
"""

from __future__ import annotations

import torch

from engine import Parameter, Value
from engine import functions as F
from engine.layers import Layer
from engine.optimizers import SGD, Adam, ClipGrad, MomentumSGD, Optimizer
from engine.steps.text_plot import curve


class Valley(Layer):
    """Steep across, flat along."""

    def __init__(self) -> None:
        self.place = Parameter(torch.tensor([4.0, 1.0]))

    def forward(self) -> Value:
        return F.sum(self.place**2 * torch.tensor([0.5, 50.0]))


def heights(optimizer: Optimizer, steps: int = 60) -> list[float]:
    valley = Valley()
    optimizer.setup(valley)
    heights = []
    for _ in range(steps):
        loss = valley()
        valley.cleargrads()
        loss.backward()
        optimizer.update()
        heights.append(loss.item())
    return heights


def main() -> None:
    for optimizer in (SGD(0.015), MomentumSGD(0.015, 0.8), Adam(0.3)):
        print(f"{type(optimizer).__name__}: {heights(optimizer)[-1]:.2e} after 60 steps")
    print("Momentum, first 30 steps:")
    print(curve(heights(MomentumSGD(0.015, 0.8), 30)))


def test_momentum_is_ahead_of_plain_descent() -> None:
    assert heights(MomentumSGD(0.015, 0.8))[-1] < 0.1 * heights(SGD(0.015))[-1]


def test_clipping_bounds_the_first_step() -> None:
    optimizer = SGD(1.0)
    optimizer.add_hook(ClipGrad(0.5))
    valley = Valley()
    optimizer.setup(valley)
    before = valley.place.array.clone()
    valley().backward()
    optimizer.update()
    assert abs((valley.place.array - before).norm().item() - 0.5) < 1e-6
