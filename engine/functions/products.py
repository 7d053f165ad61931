"""Matrix products."""

# ruff: noqa: N803, N806 - a weight is W, as in the papers and in DeZero

from __future__ import annotations

from typing import ClassVar

from engine.function import Function
from engine.functions.elementwise import constant, promoted
from engine.functions.reductions import sum as sum_over
from engine.functions.shapes import expand_dims, reshape, squeeze, transpose
from engine.variable import Array, Operand, Value


def swap_last(x: Value) -> Value:
    """The matrices of a stack, transposed."""
    return transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])


class MatMul(Function):
    """Stacks of matrices; the axes before the last two broadcast."""

    broadcasts = True
    only_for: ClassVar = {"x": 1, "W": 0}

    def forward(self, x: Array, W: Array) -> Array:
        return x @ W

    def backward(self, gy: Value, x: Value, W: Value) -> tuple[Value | None, Value | None]:
        gx = matmul(gy, swap_last(W)) if self.wants(0) else None
        gW = matmul(swap_last(x), gy) if self.wants(1) else None
        return gx, gW


class Linear(Function):
    """x W + b for rows x, as one node: nothing between product and sum is kept."""

    only_for: ClassVar = {"x": 1, "W": 0}

    def forward(self, x: Array, W: Array, b: Array) -> Array:
        return b.addmm(x, W)

    def backward(self, gy: Value, x: Value, W: Value) -> tuple[Value | None, Value | None, Value | None]:
        gx = matmul(gy, transpose(W)) if self.wants(0) else None
        gW = matmul(transpose(x), gy) if self.wants(1) else None
        return gx, gW, sum_over(gy, 0) if self.wants(2) else None


class LinearByRows(Function):
    """x Wᵀ + b: a row of W for each output, as torch keeps weights. The gradient of W lies in memory as W does."""

    only_for: ClassVar = {"x": 1, "W": 0}

    def forward(self, x: Array, W: Array, b: Array) -> Array:
        return b.addmm(x, W.t())

    def backward(self, gy: Value, x: Value, W: Value) -> tuple[Value | None, Value | None, Value | None]:
        gx = matmul(gy, W) if self.wants(0) else None
        gW = matmul(transpose(gy), x) if self.wants(1) else None
        return gx, gW, sum_over(gy, 0) if self.wants(2) else None


def matmul(x: Operand, W: Operand) -> Value:
    """`x @ W` with numpy's rules: vectors, matrices, stacks of matrices."""
    x, W = promoted(x, W)
    is_row, is_column = constant(x).ndim == 1, constant(W).ndim == 1
    y = MatMul()(expand_dims(x, 0) if is_row else x, expand_dims(W, 1) if is_column else W)
    if is_column:
        y = squeeze(y, -1)
    return squeeze(y, -1 if is_column else -2) if is_row else y


def linear(x: Value, W: Value, b: Value | None = None) -> Value:
    """`x W + b` along the last axis of x."""
    return matmul(x, W) if b is None else _along_last_axis(Linear(), x, W, b, W.shape[-1])


def linear_by_rows(x: Value, W: Value, b: Value | None = None) -> Value:
    """`x Wᵀ + b` along the last axis of x."""
    return matmul(x, transpose(W)) if b is None else _along_last_axis(LinearByRows(), x, W, b, W.shape[0])


def _along_last_axis(function: Function, x: Value, W: Value, b: Value, size: int) -> Value:
    x, W, b = promoted(x, W, b)
    if x.ndim == 2:
        return function(x, W, b)
    return reshape(function(reshape(x, (-1, x.shape[-1])), W, b), (*x.shape[:-1], size))
