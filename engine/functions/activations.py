"""Activations: functions of one element that bend."""

from __future__ import annotations

import math

import torch

from engine.function import Function
from engine.functions.elementwise import constant, exp
from engine.variable import Array, Operand, Value


class Tanh(Function):
    """d tanh(x) = (1 - tanh²(x)) dx."""

    def forward(self, x: Array) -> Array:
        return x.tanh()

    def backward(self, gy: Value, y: Value) -> Value:
        return gy * (1.0 - y * y)


class Sigmoid(Function):
    """d σ(x) = σ(x) (1 - σ(x)) dx."""

    def forward(self, x: Array) -> Array:
        return x.sigmoid()

    def backward(self, gy: Value, y: Value) -> Value:
        return gy * (y * (1.0 - y))


class Erf(Function):
    """d erf(x) = 2/√π exp(-x²) dx."""

    def forward(self, x: Array) -> Array:
        return x.erf()

    def backward(self, gy: Value, x: Value) -> Value:
        return gy * (exp(-x * x) * (2.0 / math.sqrt(math.pi)))


class ReLU(Function):
    """The gradient passes where the output is positive."""

    def forward(self, x: Array) -> Array:
        return x.clamp(min=0.0)

    def backward(self, gy: Value, y: Value) -> Value:
        return gy * constant(y).sign()  # four times as fast as a mask of booleans on a CPU


class LeakyReLU(Function):
    """The gradient passes, scaled by the slope where x is negative."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def forward(self, x: Array) -> Array:
        return torch.where(x > 0, x, x * self.slope)

    def backward(self, gy: Value, x: Value) -> Value:
        array = constant(x)
        return gy * ((array > 0).to(array.dtype) * (1.0 - self.slope) + self.slope)


def tanh(x: Operand) -> Value:
    """The hyperbolic tangent."""
    return Tanh()(x)


def erf(x: Operand) -> Value:
    """The error function."""
    return Erf()(x)


def sigmoid(x: Operand) -> Value:
    """1 / (1 + exp(-x))."""
    return Sigmoid()(x)


def relu(x: Operand) -> Value:
    """max(x, 0); its derivative at 0 is 0."""
    return ReLU()(x)


def leaky_relu(x: Operand, slope: float = 0.2) -> Value:
    """X where it is positive, else `slope * x`."""
    return LeakyReLU(slope)(x)


def gelu(x: Value) -> Value:
    """Gaussian error linear unit, exact (https://arxiv.org/abs/1606.08415, section 2)."""
    return x * (erf(x * math.sqrt(0.5)) + 1.0) * 0.5
