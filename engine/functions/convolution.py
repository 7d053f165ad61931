"""Convolution over one, two or three spatial axes.

Three operations close under differentiation: convolution, its adjoint in the image (transposed convolution) and its
adjoint in the weight. The derivative of each is made of the other two, so there are gradients of any order. Each has
two kernels: one written out here (columns and one matrix product), one of torch's compiled array functions.
"""

# ruff: noqa: N803, N806 - a weight is W, as in the papers and in DeZero

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from engine.config import config
from engine.function import Function
from engine.functions.elementwise import promoted
from engine.functions.reductions import sum as sum_over
from engine.functions.shapes import reshape
from engine.functions.windows import Size, Windows, each_axis
from engine.variable import Array, Value, Variable


@dataclass(frozen=True)
class Geometry:
    """Windows and the number of groups of channels that do not see each other."""

    windows: Windows
    groups: int = 1

    def columns(self, x: Array) -> Array:
        """(G, C/G · kernel, N · counts): every window a column."""
        n = x.ndim - 2
        view = self.windows.view(x)
        order = (1, *range(2 + n, 2 + 2 * n), 0, *range(2, 2 + n))
        rows = x.shape[1] // self.groups
        for k in self.windows.kernel:
            rows *= k
        return view.permute(order).reshape(self.groups, rows, -1)

    def matrix_of(self, y: Array) -> Array:
        """(N, K, *counts) -> (G, K/G, N · counts)."""
        return y.transpose(0, 1).reshape(self.groups, y.shape[1] // self.groups, -1)

    def weight_matrix(self, weight: Array) -> Array:
        """(K, C/G, *kernel) -> (G, K/G, C/G · kernel)."""
        return weight.reshape(self.groups, weight.shape[0] // self.groups, -1)

    def vendor_gradients(self, gy: Array, x: Array, weight: Array, *, wanted: list[bool]) -> Any:
        """Torch's kernel for the adjoints in image, weight and bias; one not wanted need not hold numbers."""
        w = self.windows
        zeros = [0] * len(w.kernel)
        return torch.ops.aten.convolution_backward.default(
            gy, x, weight, [weight.shape[0]], w.stride, w.pad, w.dilation, False, zeros, self.groups, wanted
        )


class Conv(Function):
    """Convolution itself, with a bias or without."""

    only_for: ClassVar = {"x": 1, "weight": 0}

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x: Array, weight: Array, *bias: Array) -> Array:
        geometry = self.geometry
        self.image_size = tuple(x.shape[2:])
        self.has_bias = bool(bias)
        if config.kernels == "vendor":
            w = geometry.windows
            zeros = [0] * len(w.kernel)
            return torch.ops.aten.convolution.default(  # type: ignore[no-any-return]
                x, weight, bias[0] if bias else None, w.stride, w.pad, w.dilation, False, zeros, geometry.groups
            )
        y = geometry.weight_matrix(weight) @ geometry.columns(x)
        for b in bias:
            y += b.reshape(geometry.groups, -1, 1)
        counts = geometry.windows.count(self.image_size)
        return y.reshape(weight.shape[0], x.shape[0], *counts).transpose(0, 1)

    def backward(self, gy: Value, x: Value, weight: Value) -> tuple[Value | None, ...]:
        wanted = [self.wants(i) for i in range(3 if self.has_bias else 2)]
        if config.kernels == "vendor" and all(wanted) and not any(isinstance(v, Variable) for v in (gy, x, weight)):
            # In one call the kernel brings gy into its own layout once.
            arrays: Any = gy, x, weight
            return self.geometry.vendor_gradients(*arrays, wanted=[*wanted, False][:3])[: len(wanted)]  # type: ignore[no-any-return]
        gx = ConvTranspose(self.geometry, self.image_size)(gy, weight) if wanted[0] else None
        gweight = ConvWeight(self.geometry)(x, gy) if wanted[1] else None
        if not self.has_bias:
            return gx, gweight
        return gx, gweight, sum_over(gy, (0, *range(2, gy.ndim))) if wanted[2] else None


class ConvTranspose(Function):
    """The adjoint of convolution in the image."""

    only_for: ClassVar = {"x": 1, "weight": 0}

    def __init__(self, geometry: Geometry, image_size: Sequence[int]) -> None:
        self.geometry = geometry
        self.image_size = tuple(image_size)

    def forward(self, x: Array, weight: Array) -> Array:
        geometry, kernel = self.geometry, weight.shape[2:]
        num_channels = weight.shape[1] * geometry.groups
        if config.kernels == "vendor":
            image = x.new_empty(1).expand(x.shape[0], num_channels, *self.image_size)
            return geometry.vendor_gradients(x, image, weight, wanted=[True, False, False])[0]  # type: ignore[no-any-return]
        columns = geometry.weight_matrix(weight).transpose(1, 2) @ geometry.matrix_of(x)
        columns = columns.reshape(num_channels, *kernel, x.shape[0], *x.shape[2:])
        return geometry.windows.add_up(columns, self.image_size).transpose(0, 1)

    def backward(self, gy: Value, x: Value, weight: Value) -> tuple[Value | None, Value | None]:
        gx = Conv(self.geometry)(gy, weight) if self.wants(0) else None
        gweight = ConvWeight(self.geometry)(gy, x) if self.wants(1) else None
        return gx, gweight


class ConvWeight(Function):
    """The adjoint of convolution in the weight: from the image and the output's gradient to the weight's."""

    only_for: ClassVar = {"x": 1, "gy_in": 0}

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x: Array, gy_in: Array) -> Array:
        geometry = self.geometry
        self.image_size = tuple(x.shape[2:])
        shape = (gy_in.shape[1], x.shape[1] // geometry.groups, *geometry.windows.kernel)
        if config.kernels == "vendor":
            return geometry.vendor_gradients(gy_in, x, x.new_empty(1).expand(shape), wanted=[False, True, False])[1]  # type: ignore[no-any-return]
        return (geometry.matrix_of(gy_in) @ geometry.columns(x).transpose(1, 2)).reshape(shape)

    def backward(self, gy: Value, x: Value, gy_in: Value) -> tuple[Value | None, Value | None]:
        gx = ConvTranspose(self.geometry, self.image_size)(gy_in, gy) if self.wants(0) else None
        ggy = Conv(self.geometry)(x, gy) if self.wants(1) else None
        return gx, ggy


def conv(
    x: Value,
    W: Value,
    b: Value | None = None,
    stride: Size = 1,
    pad: Size = 0,
    *,
    dilation: Size = 1,
    groups: int = 1,
) -> Value:
    """Cross-correlation of images (N, C, *image) with kernels (K, C/groups, *kernel)."""
    if x.ndim != W.ndim or x.shape[1] != W.shape[1] * groups:
        raise ValueError(
            f"images {tuple(x.shape)} do not fit kernels {tuple(W.shape)} in {groups} groups: expected (N, C, *image)"
            " and (K, C / groups, *kernel)"
        )
    windows = Windows.over(W.shape[2:], stride=stride, pad=pad, dilation=dilation)
    windows.count(x.shape[2:])
    return Conv(Geometry(windows, groups))(*promoted(x, W, *(() if b is None else (b,))))


def deconv(
    x: Value,
    W: Value,
    b: Value | None = None,
    stride: Size = 1,
    pad: Size = 0,
    outsize: Sequence[int] | None = None,
    *,
    dilation: Size = 1,
    groups: int = 1,
) -> Value:
    """Transposed convolution with kernels (C, K/groups, *kernel); `outsize` says which of the possible image sizes."""
    x, W = promoted(x, W)
    windows = Windows.over(W.shape[2:], stride=stride, pad=pad, dilation=dilation)
    smallest = tuple(
        s * (n - 1) + d * (k - 1) + 1 - 2 * p
        for n, k, s, p, d in zip(
            x.shape[2:], windows.kernel, windows.stride, windows.pad, windows.dilation, strict=True
        )
    )
    size = smallest if outsize is None else each_axis(outsize, len(smallest))
    if windows.count(size) != tuple(x.shape[2:]):
        raise ValueError(f"outsize={size} is impossible here; the smallest possible is {smallest}")
    y = ConvTranspose(Geometry(windows, groups), size)(x, W)
    return y if b is None else y + reshape(b, (-1, *(1,) * (y.ndim - 2)))


conv2d = conv
deconv2d = deconv
