"""Arithmetic on each element; two inputs broadcast as in numpy."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import torch

from engine.function import Function
from engine.variable import Array, Operand, Value, Variable, as_array


def constant(x: Any) -> Array:
    """The numbers of a value, outside the graph: for masks and counts, whose derivative is zero almost everywhere."""
    return x.array if isinstance(x, Variable) else as_array(x)


class Copy(Function):
    """y = x."""

    def forward(self, x: Array) -> Array:
        return x.clone()

    def backward(self, gy: Value) -> Value:
        return gy


class Cast(Function):
    """y = x, in another dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def forward(self, x: Array) -> Array:
        self.before = x.dtype
        return x.to(self.dtype)

    def backward(self, gy: Value) -> Value:
        return cast(gy, self.before)


class Add(Function):
    """d(x0 + x1) = dx0 + dx1."""

    broadcasts = True

    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 + x1

    def backward(self, gy: Value) -> tuple[Value, Value]:
        return gy, gy


class Sub(Function):
    """d(x0 - x1) = dx0 - dx1."""

    broadcasts = True

    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 - x1

    def backward(self, gy: Value) -> tuple[Value, Value | None]:
        return gy, -gy if self.wants(1) else None


class Mul(Function):
    """d(x0 x1) = x1 dx0 + x0 dx1."""

    broadcasts = True
    only_for: ClassVar = {"x0": 1, "x1": 0}

    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 * x1

    def backward(self, gy: Value, x0: Value, x1: Value) -> tuple[Value | None, Value | None]:
        return gy * x1 if self.wants(0) else None, gy * x0 if self.wants(1) else None


class Div(Function):
    """d(x0 / x1) = dx0 / x1 - x0 / x1² dx1."""

    broadcasts = True
    only_for: ClassVar = {"x0": 1}

    def forward(self, x0: Array, x1: Array) -> Array:
        return x0 / x1

    def backward(self, gy: Value, x0: Value, x1: Value) -> tuple[Value, Value | None]:
        gx0 = gy / x1
        return gx0, -gx0 * (x0 / x1) if self.wants(1) else None


class Neg(Function):
    """d(-x) = -dx."""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, gy: Value) -> Value:
        return -gy


class Pow(Function):
    """x0 ** x1, with a number or a Variable on either side."""

    broadcasts = True

    def forward(self, x0: Array, x1: Array) -> Array:
        return x0**x1

    def backward(self, gy: Value, x0: Value, x1: Value) -> tuple[Value | None, Value | None]:
        gx0 = gx1 = None
        if self.wants(0):
            gx0 = gy * _power_rule(x0, x1)
        if self.wants(1):
            gx1 = gy * (x0**x1) * _logarithm(x0)
        return gx0, gx1


def _is_array(x: Any) -> bool:
    return isinstance(x, (Variable, torch.Tensor))


def _power_rule(x: Value, exponent: Any) -> Any:
    """The factor exponent · x ** (exponent - 1), and 0 for the exponent 0 also at x = 0, where x ** -1 has no value."""
    if _is_array(exponent):
        return exponent * x ** where(constant(exponent) == 0, 1.0, exponent - 1.0)
    return exponent * x ** (exponent - 1) if exponent else 0.0


def _logarithm(base: Any) -> Any:
    """The logarithm of a base; of 0 any number will do, since 0 ** x is constant for x > 0."""
    if not _is_array(base):
        return math.log(base or 1.0)
    return log(where(constant(base) == 0, 1.0, base))


class Exp(Function):
    """d exp(x) = exp(x) dx: the output is its own derivative."""

    def forward(self, x: Array) -> Array:
        return x.exp()

    def backward(self, gy: Value, y: Value) -> Value:
        return gy * y


class Log(Function):
    """d log(x) = dx / x."""

    def forward(self, x: Array) -> Array:
        return x.log()

    def backward(self, gy: Value, x: Value) -> Value:
        return gy / x


class Sqrt(Function):
    """d √x = dx / (2 √x)."""

    def forward(self, x: Array) -> Array:
        return x.sqrt()

    def backward(self, gy: Value, y: Value) -> Value:
        return gy / (y * 2.0)


class Sin(Function):
    """d sin(x) = cos(x) dx."""

    def forward(self, x: Array) -> Array:
        return x.sin()

    def backward(self, gy: Value, x: Value) -> Value:
        return gy * cos(x)


class Cos(Function):
    """d cos(x) = -sin(x) dx."""

    def forward(self, x: Array) -> Array:
        return x.cos()

    def backward(self, gy: Value, x: Value) -> Value:
        return -gy * sin(x)


class Where(Function):
    """Each element's gradient goes to the input it came from."""

    broadcasts = True

    def forward(self, condition: Array, x0: Array, x1: Array) -> Array:
        return torch.where(condition, x0, x1)

    def backward(self, gy: Value, condition: Array) -> tuple[None, Value, Value]:
        mask = condition.to(constant(gy).dtype)
        return None, gy * mask, gy * (1.0 - mask)


def copy(x: Operand) -> Value:
    """The same numbers in memory of their own."""
    return Copy()(x)


def cast(x: Operand, dtype: torch.dtype) -> Value:
    """The same numbers in another dtype; the gradient returns to the first."""
    return Cast(dtype)(x)


def promoted(*values: Operand) -> tuple[Value, ...]:
    """The values in their common dtype, as element-wise functions take them; a product needs it said."""
    arrays = [constant(value) for value in values]
    if len({array.dtype for array in arrays}) == 1:
        return tuple(v if isinstance(v, (Variable, torch.Tensor)) else as_array(v) for v in values)
    common = functools.reduce(torch.promote_types, [array.dtype for array in arrays])
    return tuple(cast(v, common) for v in values)


def add(x0: Operand, x1: Operand) -> Value:
    """`x0 + x1`."""
    return Add()(x0, x1)


def sub(x0: Operand, x1: Operand) -> Value:
    """`x0 - x1`."""
    return Sub()(x0, x1)


def mul(x0: Operand, x1: Operand) -> Value:
    """`x0 * x1`."""
    return Mul()(x0, x1)


def div(x0: Operand, x1: Operand) -> Value:
    """`x0 / x1`."""
    return Div()(x0, x1)


def neg(x: Operand) -> Value:
    """`-x`."""
    return Neg()(x)


def pow(x0: Operand, x1: Operand) -> Value:  # noqa: A001 - numpy's and torch's name
    """`x0 ** x1`; a number or a value on either side."""
    return Pow()(x0, x1)


def exp(x: Operand) -> Value:
    """E to the power of each element."""
    return Exp()(x)


def log(x: Operand) -> Value:
    """The natural logarithm."""
    return Log()(x)


def sqrt(x: Operand) -> Value:
    """The square root."""
    return Sqrt()(x)


def sin(x: Operand) -> Value:
    """The sine of radians."""
    return Sin()(x)


def cos(x: Operand) -> Value:
    """The cosine of radians."""
    return Cos()(x)


def where(condition: Array, x0: Operand, x1: Operand) -> Value:
    """Elements of `x0` where the condition holds, else of `x1`."""
    return Where()(condition, x0, x1)
