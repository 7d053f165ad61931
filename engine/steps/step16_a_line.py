"""Fitting a line.

Learning is going downhill on an error. A line through points has two numbers to choose; the mean squared error says
how badly they are chosen, and its gradient how to choose better. All points go through one matrix product at once.
"""

from __future__ import annotations

import torch

from engine import Parameter, Value
from engine import functions as F


def points(count: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    """Rent by size of the flat, in thousands and hundreds of square metres."""
    generator = torch.Generator().manual_seed(0)
    size = torch.rand(count, 1, generator=generator)
    return size, 1.4 * size + 0.2 + 0.05 * torch.randn(count, 1, generator=generator)


def fit(steps: int = 300, lr: float = 0.3) -> tuple[float, float, list[float]]:
    size, rent = points()
    weight, bias = Parameter(torch.zeros(1, 1)), Parameter(torch.zeros(1))
    losses = []
    for _ in range(steps):
        loss: Value = F.mean_squared_error(F.linear(size, weight, bias), rent)
        loss.backward()
        for parameter in (weight, bias):
            assert parameter.grad is not None
            parameter.array -= lr * parameter.grad.array
            parameter.cleargrad()
        losses.append(loss.item())
    return weight.item(), bias.item(), losses


def main() -> None:
    weight, bias, losses = fit()
    print(f"rent = {weight:.3f} · size + {bias:.3f};  error {losses[0]:.4f} -> {losses[-1]:.4f}")


def test_it_is_the_line_of_least_squares() -> None:
    size, rent = points()
    exact = torch.linalg.lstsq(torch.cat([size, torch.ones_like(size)], 1), rent).solution
    weight, bias, _ = fit()
    assert torch.allclose(torch.tensor([weight, bias]), exact.flatten(), atol=1e-3)  # 300 steps of descent
