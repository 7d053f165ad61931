"""The derivative of a derivative.

The walk back is made of multiplications and additions. If it is done with boxes, it writes itself down too, and can be
walked back again: `create_graph=True`. With the second derivative one knows not only where down is but how far: Newton.
Here: the angle at which a throw from a tower flies farthest.
"""

from __future__ import annotations

import math

import torch

from engine import Value, Variable, grad
from engine import functions as F


def distance(angle: Variable, *, speed: float = 10.0, height: float = 20.0) -> Value:
    """How far a throw flies, in metres."""
    up = speed * F.sin(angle)
    seconds = (up + F.sqrt(up**2 + 2.0 * 9.81 * height)) / 9.81
    return speed * F.cos(angle) * seconds


def best_angle(steps: int) -> list[float]:
    """The angles that Newton's method tries, in radians."""
    angle = Variable(torch.tensor(math.pi / 4, dtype=torch.float64))
    tried = [angle.item()]
    for _ in range(steps):
        metres = distance(angle)
        assert isinstance(metres, Variable)
        (slope,) = grad(metres, [angle], create_graph=True)
        (bend,) = grad(slope, [angle])
        angle = Variable(angle.array - slope.array / bend.array)
        tried.append(angle.item())
    return tried


def main() -> None:
    for step, angle in enumerate(best_angle(4)):
        metres = distance(Variable(torch.tensor(angle, dtype=torch.float64))).item()
        print(f"step {step}: {math.degrees(angle):9.6f}° flies {metres:.9f} m")


def test_five_steps_reach_the_closed_form() -> None:
    # For a tower of height h the best angle is arcsin(v / √(2v² + 2gh)).
    exact = math.asin(10.0 / math.sqrt(2 * 10.0**2 + 2 * 9.81 * 20.0))
    assert abs(best_angle(5)[-1] - exact) < 1e-12


def test_the_error_is_squared_at_each_step() -> None:
    *_, before, after, exact = best_angle(5)[1:3] + best_angle(7)[-1:]
    assert abs(after - exact) < 10 * (before - exact) ** 2
