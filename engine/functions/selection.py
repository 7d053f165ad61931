"""Functions that choose: the larger, the smaller, what lies inside bounds."""

from __future__ import annotations

import torch

from engine.function import Function
from engine.functions.elementwise import constant
from engine.variable import Array, Operand, Value


class Abs(Function):
    """d |x| = sign(x) dx."""

    def forward(self, x: Array) -> Array:
        return x.abs()

    def backward(self, gy: Value, x: Value) -> Value:
        return gy * constant(x).sign()


class Clip(Function):
    """The gradient passes inside the bounds."""

    def __init__(self, x_min: float, x_max: float) -> None:
        self.bounds = (x_min, x_max)

    def forward(self, x: Array) -> Array:
        return x.clamp(*self.bounds)

    def backward(self, gy: Value, x: Value) -> Value:
        array = constant(x)
        return gy * ((array >= self.bounds[0]) & (array <= self.bounds[1])).to(array.dtype)


class Maximum(Function):
    """The gradient goes to the larger; equal ones halve it."""

    broadcasts = True

    def forward(self, x0: Array, x1: Array) -> Array:
        return torch.maximum(x0, x1)

    def backward(self, gy: Value, x0: Value, x1: Value) -> tuple[Value, Value]:
        share = ((constant(x0) - constant(x1)).sign() + 1.0) * 0.5
        return gy * share, gy * (1.0 - share)


def abs(x: Operand) -> Value:  # noqa: A001 - numpy's and torch's name
    """The absolute value; its derivative at 0 is 0."""
    return Abs()(x)


def clip(x: Operand, x_min: float, x_max: float) -> Value:
    """Elements limited to [x_min, x_max]; outside, the derivative is 0."""
    return Clip(x_min, x_max)(x)


def maximum(x0: Value, x1: Value) -> Value:
    """The larger of two values; where they are equal both get half of the gradient."""
    return Maximum()(x0, x1)


def minimum(x0: Value, x1: Value) -> Value:
    """The smaller of two values; where they are equal both get half of the gradient."""
    return -maximum(-x0, -x1)
