"""The windows that a kernel sees, over any number of spatial axes, and their sum back into an image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.function import Function
from engine.functions.shapes import reshape, transpose
from engine.variable import Array, Value

Size: TypeAlias = int | Sequence[int]


def each_axis(size: Size, num_axes: int) -> tuple[int, ...]:
    """One number for every spatial axis."""
    sizes = (size,) * num_axes if isinstance(size, int) else tuple(size)
    if len(sizes) != num_axes:
        raise ValueError(f"{sizes} gives {len(sizes)} numbers for {num_axes} spatial axes; give one, or one for each")
    return sizes


@dataclass(frozen=True)
class Windows:
    """Where a kernel of a given size stands on an image."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def over(cls, kernel: Sequence[int], *, stride: Size, pad: Size, dilation: Size = 1) -> Windows:
        n = len(kernel)
        return cls(tuple(kernel), each_axis(stride, n), each_axis(pad, n), each_axis(dilation, n))

    def count(self, image_size: Sequence[int]) -> tuple[int, ...]:
        """How many windows fit along each axis."""
        counts = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(image_size, self.kernel, self.stride, self.pad, self.dilation, strict=True)
        )
        if min(counts) < 1:
            raise ValueError(
                f"an image of size {tuple(image_size)} with padding {self.pad} is smaller than the kernel {self.kernel}"
                f" with dilation {self.dilation}"
            )
        return counts

    def padded(self, x: Array, fill: float = 0.0) -> Array:
        """The image with its border."""
        if not any(self.pad):
            return x
        sizes = [n + 2 * p for n, p in zip(x.shape[2:], self.pad, strict=True)]
        y = x.new_full((*x.shape[:2], *sizes), fill)
        y[self._inside(x.shape[2:])] = x
        return y

    def view(self, x: Array, fill: float = 0.0) -> Array:
        """The windows as a view: (N, C, *counts, *kernel); no element is copied but for the border."""
        counts = self.count(x.shape[2:])
        x = self.padded(x, fill)
        steps = [s * n for s, n in zip(self.stride, x.stride()[2:], strict=True)]
        inner = [d * n for d, n in zip(self.dilation, x.stride()[2:], strict=True)]
        return x.as_strided(
            (*x.shape[:2], *counts, *self.kernel), (*x.stride()[:2], *steps, *inner), x.storage_offset()
        )

    def add_up(self, columns: Array, image_size: Sequence[int]) -> Array:
        """Columns (A, *kernel, B, *counts) added at their places in images (A, B, *image_size): the view's adjoint."""
        n = len(self.kernel)
        counts = columns.shape[n + 2 :]
        sizes = [size + 2 * p for size, p in zip(image_size, self.pad, strict=True)]
        y = columns.new_zeros((columns.shape[0], columns.shape[n + 1], *sizes))
        for offset in itertools.product(*map(range, self.kernel)):
            zipped = zip(offset, self.dilation, self.stride, counts, strict=True)
            places: Any = (..., *(slice(o * d, o * d + s * c, s) for o, d, s, c in zipped))
            column: Any = (slice(None), *offset)
            y[places] += columns[column]
        return y[self._inside(image_size)]

    def _inside(self, image_size: Sequence[int]) -> Any:
        return (..., *(slice(p, p + n) for n, p in zip(image_size, self.pad, strict=True)))


class Im2col(Function):
    """Windows as columns: (N, C, *image) -> (N, C, *kernel, *counts)."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def forward(self, x: Array) -> Array:
        self.image_size = tuple(x.shape[2:])
        n = len(self.windows.kernel)
        order = (0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n))
        return self.windows.view(x).permute(order).contiguous()

    def backward(self, gy: Value) -> Value:
        return Col2im(self.windows, self.image_size)(gy)


class Col2im(Function):
    """The columns summed back into an image: the derivative of Im2col, and it of this."""

    def __init__(self, windows: Windows, image_size: Sequence[int]) -> None:
        self.windows = windows
        self.image_size = tuple(image_size)

    def forward(self, columns: Array) -> Array:
        n = len(self.windows.kernel)
        # (N, C, *kernel, *counts) -> (C, *kernel, N, *counts)
        order = (1, *range(2, 2 + n), 0, *range(2 + n, 2 + 2 * n))
        return self.windows.add_up(columns.permute(order), self.image_size).transpose(0, 1)

    def backward(self, gy: Value) -> Value:
        return Im2col(self.windows)(gy)


def im2col(x: Value, kernel_size: Size, stride: Size = 1, pad: Size = 0, *, to_matrix: bool = True) -> Value:
    """The windows of images: (N, C, *kernel, *counts), or as a matrix with one window a row."""
    n = x.ndim - 2
    columns = Im2col(Windows.over(each_axis(kernel_size, n), stride=stride, pad=pad))(x)
    if not to_matrix:
        return columns
    rows = transpose(columns, (0, *range(2 + n, 2 + 2 * n), *range(1, 2 + n)))
    return reshape(rows, (-1, math.prod(columns.shape[1 : 2 + n])))


def col2im(
    columns: Value,
    input_shape: Sequence[int],
    kernel_size: Size,
    stride: Size = 1,
    pad: Size = 0,
    *,
    to_matrix: bool = True,
) -> Value:
    """Sum windows back into images of the shape (N, C, *image)."""
    n = len(input_shape) - 2
    windows = Windows.over(each_axis(kernel_size, n), stride=stride, pad=pad)
    if to_matrix:
        counts = windows.count(input_shape[2:])
        rows = reshape(columns, (input_shape[0], *counts, input_shape[1], *windows.kernel))
        columns = transpose(rows, (0, *range(1 + n, 2 + 2 * n), *range(1, 1 + n)))
    return Col2im(windows, input_shape[2:])(columns)
