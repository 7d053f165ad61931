"""Functions that gather an axis into one number: sum, mean, max, softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from engine.function import Function
from engine.functions.elementwise import constant, exp
from engine.functions.shapes import broadcast_to, reshape
from engine.variable import Array, Operand, Value

Axis: TypeAlias = int | Sequence[int] | None  # none: all axes


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as a tuple of non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % (ndim or 1) for a in ((axis,) if isinstance(axis, int) else axis))


class Sum(Function):
    """The gradient, repeated along the axes that were summed."""

    def __init__(self, axis: Axis, *, keepdims: bool) -> None:
        self.axis = axis
        self.keepdims = keepdims

    def forward(self, x: Array) -> Array:
        self.x_shape = tuple(x.shape)
        axes = axes_of(self.axis, x.ndim)
        self.kept = tuple(1 if i in axes else n for i, n in enumerate(self.x_shape))
        return x.sum(axes, keepdim=self.keepdims) if axes else x.clone()

    def backward(self, gy: Value) -> Value:
        return broadcast_to(reshape(gy, self.kept), self.x_shape)


class Max(Function):
    """The largest elements; equal ones share the gradient (as torch.amax)."""

    def __init__(self, axis: Axis, *, keepdims: bool) -> None:
        self.axis = axis
        self.keepdims = keepdims

    def forward(self, x: Array) -> Array:
        axes = axes_of(self.axis, x.ndim)
        self.axes = axes
        self.kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        return x.amax(axes, keepdim=self.keepdims)

    def backward(self, gy: Value, x: Value, y: Value) -> Value:
        mask = (constant(x) == constant(y).reshape(self.kept)).to(constant(gy).dtype)
        share = mask / (mask.sum(self.axes, keepdim=True) if self.axes else mask)
        return reshape(gy, self.kept) * share


class Softmax(Function):
    """dx = y (dy - Σ dy y)."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return x.softmax(self.axis)

    def backward(self, gy: Value, y: Value) -> Value:
        product = gy * y
        return product - y * sum(product, self.axis, keepdims=True)


class LogSoftmax(Function):
    """dx = dy - softmax Σ dy."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        shifted = x - x.amax(self.axis, keepdim=True)
        return shifted - shifted.exp().sum(self.axis, keepdim=True).log()

    def backward(self, gy: Value, y: Value) -> Value:
        return gy - exp(y) * sum(gy, self.axis, keepdims=True)


def sum(x: Operand, axis: Axis = None, *, keepdims: bool = False) -> Value:  # noqa: A001 - numpy's and torch's name
    """The sum over axes."""
    return Sum(axis, keepdims=keepdims)(x)


def mean(x: Value, axis: Axis = None, *, keepdims: bool = False) -> Value:
    """The mean over axes."""
    count = math.prod(x.shape[a] for a in axes_of(axis, x.ndim))
    return sum(x, axis, keepdims=keepdims) * (1.0 / count)


average = mean


def max(x: Operand, axis: Axis = None, *, keepdims: bool = False) -> Value:  # noqa: A001 - numpy's and torch's name
    """The largest over axes; equal ones share the gradient."""
    return Max(axis, keepdims=keepdims)(x)


def min(x: Value, axis: Axis = None, *, keepdims: bool = False) -> Value:  # noqa: A001 - numpy's and torch's name
    """The smallest over axes; equal ones share the gradient."""
    return -max(-x, axis, keepdims=keepdims)


def softmax(x: Operand, axis: int = 1) -> Value:
    """exp(x) over its sum along an axis."""
    return Softmax(axis)(x)


def log_softmax(x: Operand, axis: int = 1) -> Value:
    """The logarithm of softmax, without overflow."""
    return LogSoftmax(axis)(x)
