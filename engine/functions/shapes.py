"""Functions that move elements without changing them: reshape, transpose, broadcast, index, join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from engine.function import Function
from engine.functions.elementwise import constant
from engine.variable import Array, Operand, Value, as_array


class Reshape(Function):
    """The gradient, in the old shape."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    def forward(self, x: Array) -> Array:
        self.x_shape = tuple(x.shape)
        return x.reshape(self.shape)

    def backward(self, gy: Value) -> Value:
        return reshape(gy, self.x_shape)


class Transpose(Function):
    """The gradient, with the axes put back."""

    def __init__(self, axes: Sequence[int]) -> None:
        self.axes = tuple(axes)

    def forward(self, x: Array) -> Array:
        return x.permute(self.axes)

    def backward(self, gy: Value) -> Value:
        num_axes = len(self.axes)
        inverse = sorted(range(num_axes), key=lambda axis: self.axes[axis] % num_axes)
        return transpose(gy, inverse)


class BroadcastTo(Function):
    """The gradient, summed over the copies."""

    broadcasts = True  # so the reverse pass sums the gradient back to the input

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    def forward(self, x: Array) -> Array:
        return x.expand(self.shape)

    def backward(self, gy: Value) -> Value:
        return gy


class SumTo(Function):
    """The gradient, broadcast back."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    def forward(self, x: Array) -> Array:
        self.x_shape = tuple(x.shape)
        lead = x.ndim - len(self.shape)
        pairs = list(zip(self.x_shape[max(lead, 0) :], self.shape, strict=False))
        if lead < 0 or any(small not in (1, large) for large, small in pairs):
            raise ValueError(
                f"an array of shape {self.x_shape} cannot be summed to {self.shape}: that does not broadcast to it"
            )
        axes = [*range(lead), *(lead + i for i, (large, small) in enumerate(pairs) if small == 1 != large)]
        return (x.sum(axes, keepdim=True) if axes else x).reshape(self.shape)

    def backward(self, gy: Value) -> Value:
        return broadcast_to(gy, self.x_shape)


class GetItem(Function):
    """The gradient, put where the elements came from."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        self.x_shape = tuple(x.shape)
        return x[self.index]

    def backward(self, gy: Value) -> Value:
        return PutItem(self.index, self.x_shape)(gy)


class PutItem(Function):
    """Zeros with values added at an index, as often as it names a place: the derivative of GetItem, and it of this."""

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index = index
        self.shape = shape

    def forward(self, x: Array) -> Array:
        y = x.new_zeros(self.shape)
        if isinstance(self.index, torch.Tensor) and self.index.dtype == torch.int64:
            # Rows of a table: in one call, whose time is that of the rows named.
            return y.index_add_(0, self.index.flatten() % len(y), x.reshape(-1, *self.shape[1:]))
        if _is_basic(self.index):
            y[self.index] = x  # slices name every place once
            return y
        index = self.index if isinstance(self.index, tuple) else (self.index,)
        flat = torch.arange(y.numel(), device=x.device).reshape(self.shape)[index]
        return y.flatten().index_add_(0, flat.flatten(), x.flatten()).reshape(self.shape)

    def backward(self, gy: Value) -> Value:
        return get_item(gy, self.index)


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts)


class Concatenate(Function):
    """The gradient, cut into the pieces."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        self.sizes = [x.shape[self.axis] for x in xs]
        return torch.cat(xs, self.axis)

    def backward(self, gy: Value) -> tuple[Value, ...]:
        return split(gy, self.sizes, axis=self.axis)


class Split(Function):
    """One input, several outputs: the reverse pass hands in zeros for those that nobody used."""

    def __init__(self, sizes: Sequence[int], axis: int) -> None:
        self.sizes = list(sizes)
        self.axis = axis

    def forward(self, x: Array) -> tuple[Array, ...]:
        return torch.split(x, self.sizes, self.axis)

    def backward(self, gys: tuple[Value, ...]) -> Value:
        return concatenate(gys, axis=self.axis)


def reshape(x: Operand, shape: Sequence[int]) -> Value:
    """The same elements in another shape."""
    return Reshape(shape)(x)


def flatten(x: Value) -> Value:
    """One row for each sample: everything after the first axis in one."""
    return reshape(x, (x.shape[0], -1))


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Value:
    """Put the axes in a new order; without one, reversed."""
    return Transpose(tuple(reversed(range(constant(x).ndim))) if axes is None else axes)(x)


def expand_dims(x: Operand, axis: int) -> Value:
    """Insert an axis of length 1 at a position of the result."""
    shape = list(constant(x).shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return reshape(x, shape)


def squeeze(x: Operand, axis: int) -> Value:
    """Take an axis of length 1 away."""
    shape = list(constant(x).shape)
    if shape.pop(axis) != 1:
        raise ValueError(f"axis {axis} of shape {tuple(constant(x).shape)} has not length 1")
    return reshape(x, shape)


def broadcast_to(x: Operand, shape: Sequence[int]) -> Value:
    """The array repeated until it has a shape."""
    return BroadcastTo(shape)(x)


def sum_to(x: Operand, shape: Sequence[int]) -> Value:
    """Sum over the axes along which `shape` would be broadcast: the derivative of broadcasting."""
    return SumTo(shape)(x)


def get_item(x: Operand, index: Any) -> Value:
    """`x[index]` with slices, integers, masks or arrays of integers."""
    return GetItem(_plain(index))(x)


def _plain(index: Any) -> Any:
    """The index without Variables, numpy arrays or lists in it."""
    if isinstance(index, tuple):
        return tuple(_plain(part) for part in index)
    return index if _is_basic(index) else as_array(index)


def embed_id(ids: Any, table: Value) -> Value:
    """Rows of a table by number."""
    return get_item(table, as_array(ids))


def concatenate(xs: Sequence[Operand], axis: int = 0) -> Value:
    """Join along an axis."""
    return Concatenate(axis)(*xs)


def stack(xs: Sequence[Operand], axis: int = 0) -> Value:
    """Join along a new axis."""
    return concatenate([expand_dims(x, axis) for x in xs], axis)


def split(x: Operand, sizes: Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Cut along an axis into pieces of the given sizes."""
    return Split(sizes, axis).apply(x)


def pad(x: Value, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Value:
    """Put a border around the last axes: one pair (before, after) for each of them."""
    lead = x.ndim - len(widths)
    shape = [*x.shape[:lead], *(n + before + after for n, (before, after) in zip(x.shape[lead:], widths, strict=True))]
    inner: Any = (..., *(slice(before, n - after) for n, (before, after) in zip(shape[lead:], widths, strict=True)))
    if value == 0.0:
        return PutItem(inner, tuple(shape))(x)
    border = constant(x).new_full(shape, value)
    border[inner] = 0.0
    return PutItem(inner, tuple(shape))(x) + border
