"""A function of your own.

Two formulas make a function: forward on arrays, backward on whatever it names of inputs (`x`) and outputs (`y`). What
it names is kept; what it does not name is not. Written with the engine's functions, backward can itself be
differentiated. Here: the logarithm of a sum of exponentials, a smooth maximum that does not overflow.
"""

from __future__ import annotations

import torch

from engine import Array, Function, Value, Variable, grad
from engine import functions as F


class SmoothMaximum(Function):
    """log Σ exp(x)."""

    def forward(self, x: Array) -> Array:
        largest = x.max()
        return largest + (x - largest).exp().sum().log()

    def backward(self, gy: Value, x: Value, y: Value) -> Value:
        return gy * F.exp(x - y)


def main() -> None:
    x = Variable(torch.tensor([1000.0, 1001.0, 990.0]))
    y = SmoothMaximum()(x)
    y.backward()
    assert x.grad is not None
    print("of 1000, 1001, 990:", y.item())
    print("its gradient, a soft choice:", [round(share, 4) for share in x.grad.array.tolist()])


def test_it_does_not_overflow() -> None:
    assert SmoothMaximum()(torch.tensor([1000.0])).item() == 1000.0


def test_its_second_derivative_is_that_of_the_plain_formula() -> None:
    results = []
    for function in (SmoothMaximum(), lambda x: F.log(F.sum(F.exp(x)))):
        x = Variable(torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64))
        y = function(x)
        assert isinstance(y, Variable)
        (g,) = grad(y, [x], create_graph=True)
        first = g[0]
        assert isinstance(first, Variable)
        results.append(grad(first, [x])[0].array)
    assert torch.allclose(results[0], results[1])
