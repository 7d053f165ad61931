"""Max and average pooling over any number of spatial axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from engine.config import config
from engine.function import Function
from engine.functions.windows import Size, Windows, each_axis
from engine.variable import Array, Value


class MaxPool(Function):
    """The largest element of each window; the border counts as minus infinity."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def forward(self, x: Array) -> Array:
        windows, num_axes = self.windows, x.ndim - 2
        self.image_size = tuple(x.shape[2:])
        # On a CPU small windows are faster here than by torch's kernel: 2 x 2 on (32, 16, 28, 28) 1.0 against 2.0 ms.
        is_faster_here = x.device.type == "cpu" and math.prod(windows.kernel) <= 4
        if config.kernels == "vendor" and num_axes in (2, 3) and not is_faster_here:
            aten = torch.ops.aten
            kernel = aten.max_pool2d_with_indices if num_axes == 2 else aten.max_pool3d_with_indices
            y, self.places = kernel(x, windows.kernel, windows.stride, windows.pad, windows.dilation)
            return y  # type: ignore[no-any-return]
        y, self.places = _largest(windows.view(x, fill=-math.inf), windows, self.image_size)
        return y

    def backward(self, gy: Value) -> Value:
        return PutPlaces(self.places, self.image_size)(gy)


def _largest(view: Array, windows: Windows, image_size: tuple[int, ...]) -> tuple[Array, Array]:
    """The largest element of each window, and its place in the plane."""
    offsets: list[Any] = list(itertools.product(*map(range, windows.kernel)))
    y = view[(..., *offsets[0])].clone()
    exact = torch.float32 if math.prod(image_size) < 2**24 else torch.float64  # for the numbers of all places
    beyond = torch.zeros_like(y, dtype=exact)
    for offset in offsets[1:]:
        element = view[(..., *offset)]
        distance = _place(image_size, [o * d for o, d in zip(offset, windows.dilation, strict=True)])
        # With weights of 0 and 1 this takes a third of the time that masks take.
        beyond.lerp_(beyond.new_full((), distance), (element > y).to(exact))
        y = torch.maximum(y, element)
    starts = [
        torch.arange(count, device=y.device).reshape(-1, *(1,) * (len(windows.kernel) - 1 - axis)) * stride - pad
        for axis, (count, stride, pad) in enumerate(zip(y.shape[2:], windows.stride, windows.pad, strict=True))
    ]
    return y, beyond.long().add_(_place(image_size, starts))


def _place(image_size: Sequence[int], coordinates: Sequence[Any]) -> Any:
    """The number of a place in the plane, row by row."""
    place: Any = 0
    for size, coordinate in zip(image_size, coordinates, strict=True):
        place = place * size + coordinate
    return place


class PutPlaces(Function):
    """Values added at places of a plane, numbered row by row, in every channel."""

    def __init__(self, places: Array, image_size: Sequence[int]) -> None:
        self.places = places
        self.image_size = tuple(image_size)

    def forward(self, x: Array) -> Array:
        size = math.prod(self.image_size)
        if self.places.stride(0) < self.places.stride(1):  # channels first in memory, as our convolution leaves them
            y = x.new_zeros(x.shape[1], x.shape[0], size).transpose(0, 1)
        else:
            y = x.new_zeros(*x.shape[:2], size)
        y.scatter_add_(2, self.places.flatten(2), x.flatten(2))
        return y.reshape(*x.shape[:2], *self.image_size)

    def backward(self, gy: Value) -> Value:
        return TakePlaces(self.places)(gy)


class TakePlaces(Function):
    """The elements at places of a plane: the derivative of PutPlaces, and it of this."""

    def __init__(self, places: Array) -> None:
        self.places = places

    def forward(self, x: Array) -> Array:
        self.image_size = tuple(x.shape[2:])
        return x.flatten(2).gather(2, self.places.flatten(2)).reshape(self.places.shape)

    def backward(self, gy: Value) -> Value:
        return PutPlaces(self.places, self.image_size)(gy)


class AveragePool(Function):
    """The mean of each window; the border counts as zeros."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def forward(self, x: Array) -> Array:
        windows, num_axes = self.windows, x.ndim - 2
        self.image_size = tuple(x.shape[2:])
        if config.kernels == "vendor" and num_axes in (2, 3):
            aten = torch.ops.aten
            kernel = aten.avg_pool2d if num_axes == 2 else aten.avg_pool3d
            return kernel(x, windows.kernel, windows.stride, windows.pad)  # type: ignore[no-any-return]
        return windows.view(x).mean(tuple(range(2 + num_axes, 2 + 2 * num_axes)))

    def backward(self, gy: Value) -> Value:
        return SpreadWindows(self.windows, self.image_size)(gy)


class SpreadWindows(Function):
    """Each value spread evenly over its window: the derivative of AveragePool, and it of this."""

    def __init__(self, windows: Windows, image_size: Sequence[int]) -> None:
        self.windows = windows
        self.image_size = tuple(image_size)

    def forward(self, x: Array) -> Array:
        kernel = self.windows.kernel
        # (N, C, *counts) -> (C, *kernel, N, *counts)
        share = (x / math.prod(kernel)).transpose(0, 1)
        columns = share.reshape(share.shape[0], *(1,) * len(kernel), *share.shape[1:])
        columns = columns.expand(share.shape[0], *kernel, *share.shape[1:])
        return self.windows.add_up(columns, self.image_size).transpose(0, 1)

    def backward(self, gy: Value) -> Value:
        return AveragePool(self.windows)(gy)


def pooling(x: Value, kernel_size: Size, stride: Size = 1, pad: Size = 0) -> Value:
    """Max pooling of images (N, C, *image)."""
    return MaxPool(_windows(x, kernel_size, stride, pad))(x)


def average_pooling(x: Value, kernel_size: Size, stride: Size = 1, pad: Size = 0) -> Value:
    """Average pooling of images (N, C, *image)."""
    return AveragePool(_windows(x, kernel_size, stride, pad))(x)


def _windows(x: Value, kernel_size: Size, stride: Size, pad: Size) -> Windows:
    windows = Windows.over(each_axis(kernel_size, x.ndim - 2), stride=stride, pad=pad)
    if any(2 * p > k for p, k in zip(windows.pad, windows.kernel, strict=True)):
        raise ValueError(
            f"pad={windows.pad} is more than half of the kernel {windows.kernel}: a window could be all border"
        )
    windows.count(x.shape[2:])
    return windows
