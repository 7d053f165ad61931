"""Trusting a formula.

Every derivative in the engine is a formula that somebody wrote. Differences (step 3) need no formula; so wherever the
two agree at random points, the formula is right, and where it is wrong, the check says where.
"""

from __future__ import annotations

import torch

from engine import Function, Value
from engine import functions as F
from engine.gradient_check import gradient_check


class Swish(Function):
    """x σ(x), with a derivative in which something was forgotten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.sigmoid()

    def backward(self, gy: Value, x: Value) -> Value:
        return gy * F.sigmoid(x)  # the product rule has a second part


def complaint() -> str:
    x = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)
    try:
        gradient_check(Swish(), x)
    except AssertionError as error:
        return str(error)
    return ""


def main() -> None:
    print("written by hand:", complaint())
    gradient_check(lambda x: x * F.sigmoid(x), torch.randn(5, dtype=torch.float64), second_order=True)
    print("composed of known functions: right, to the second order")


def test_a_wrong_formula_is_found() -> None:
    assert "differences give" in complaint()


def test_right_formulas_pass() -> None:
    x = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
    for function in (F.exp, F.log, F.sqrt, F.tanh, F.gelu):
        gradient_check(function, x, second_order=True)
