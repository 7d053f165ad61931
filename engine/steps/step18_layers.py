"""Layers.

Weights and the function that uses them belong together. A layer is such a pair, it finds the weights of the layers in
it, in attributes, lists and dicts, and it makes its own weight when it sees its first input.
"""

from __future__ import annotations

import torch

from engine import Value
from engine import functions as F
from engine.layers import Layer, Linear


class Tower(Layer):
    """Three floors and a roof."""

    def __init__(self) -> None:
        self.floors = [Linear(8) for _ in range(3)]
        self.roof = Linear(1)

    def forward(self, x: Value) -> Value:
        for floor in self.floors:
            x = x + F.relu(floor(x))
        y: Value = self.roof(x)
        return y


def main() -> None:
    tower = Tower()
    print("before the first input:", [tuple(p.shape) for p in tower.params()][:2], "...")
    tower(torch.ones(2, 8))
    for name, parameter in tower.named_parameters():
        print(f"{name:12s} {tuple(parameter.shape)}")


def test_weights_are_found_in_lists() -> None:
    assert len(list(Tower().params())) == 8


def test_a_weight_is_made_for_its_first_input() -> None:
    layer = Linear(3)
    layer(torch.ones(2, 5))
    assert layer.W.shape == (5, 3)
