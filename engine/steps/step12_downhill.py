"""Going downhill.

The gradient points where a function grows fastest. Take small steps the other way, and it falls. Here on Himmelblau's
function, which has four equally deep valleys: the start decides which one is found.
"""

from __future__ import annotations

import torch

from engine import Value, Variable
from engine.steps.text_plot import curve


def himmelblau(x: Variable, y: Variable) -> Value:
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def descend(start: tuple[float, float], *, steps: int = 120, lr: float = 0.01) -> tuple[list[float], list[float]]:
    """Return the place reached, and the heights on the way."""
    place = [Variable(torch.tensor(value, dtype=torch.float64)) for value in start]
    heights = []
    for _ in range(steps):
        height = himmelblau(*place)
        for variable in place:
            variable.cleargrad()
        height.backward()
        heights.append(height.item())
        for variable in place:
            assert variable.grad is not None
            variable.array -= lr * variable.grad.array
    return [variable.item() for variable in place], heights


def main() -> None:
    for start in ((0.0, 0.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)):
        (x, y), _ = descend(start)
        print(f"from {start}: ({x:.4f}, {y:.4f})")
    print("height from (0, 0), first 20 steps:")
    print(curve(descend((0.0, 0.0), steps=20)[1]))


def test_the_valley_is_found() -> None:
    (x, y), heights = descend((0.0, 0.0))
    assert abs(x - 3.0) < 1e-4
    assert abs(y - 2.0) < 1e-4
    assert heights[-1] < 1e-6


def test_the_start_decides_the_valley() -> None:
    assert descend((-1.0, 1.0))[0][0] < 0
