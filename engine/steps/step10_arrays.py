"""From numbers to arrays.

Nothing in the walk changes when a box holds an array; only the formulas do. One thing is new: a small array meets a
large one and is repeated (broadcasting). An element that was used many times gets the sum of all their derivatives,
so the gradient is summed back to the small shape. From here on the boxes are the engine's, which does so in one place.
"""

from __future__ import annotations

import torch

from engine import Variable
from engine import functions as F


def main() -> None:
    prices = Variable(torch.tensor([2.0, 3.0, 5.0]), name="prices")
    amounts = torch.tensor([[1.0, 0.0, 2.0], [4.0, 1.0, 0.0]])  # two customers
    bill = F.sum(amounts * prices)  # (2, 3) times (3,)
    bill.backward()
    assert prices.grad is not None
    print("turnover:", bill.item())
    print("it grows with each price by the amount sold:", prices.grad.array.tolist())


def test_a_repeated_element_gets_the_sum() -> None:
    b = Variable(torch.zeros(3))
    F.sum(b + torch.ones(5, 3)).backward()
    assert b.grad is not None
    assert b.grad.array.tolist() == [5.0, 5.0, 5.0]


def test_the_gradient_has_the_shape_of_its_variable() -> None:
    column, row = Variable(torch.ones(4, 1)), Variable(torch.ones(1, 6))
    F.sum(column * row).backward()
    assert column.grad is not None
    assert row.grad is not None
    assert (column.grad.shape, row.grad.shape) == ((4, 1), (1, 6))
