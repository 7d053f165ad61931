"""Products, convolution, pooling, resizing, normalisation, dropout, attention."""

# ruff: noqa: ARG001, FBT001, FBT002, N803 - names, order and defaults of parameters are torch's

import math
from collections.abc import Sequence
from typing import Any

import torch

from engine import Value, using_config
from engine import functions as F
from engine.functions.elementwise import constant
from engine.functions.normalization import Normalize
from engine.functions.pooling import MaxPool
from engine.functions.windows import Windows
from experiment.engine_bridge.operation_table import translates

translates("matmul", "mm", "bmm", "mv", "dot")(F.matmul)


@translates("linear")
def linear(x: Value, weight: Value, bias: Value | None = None) -> Value:
    """`x Wᵀ + b`: torch keeps a weight's rows by output."""
    return F.linear_by_rows(x, weight, bias)


@translates("addmm", "baddbmm")
def add_product(b: Value, x: Value, W: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """`beta b + alpha x W`."""
    return F.add(b if beta == 1 else b * float(beta), F.matmul(x, W) * float(alpha) if alpha != 1 else F.matmul(x, W))


@translates("convolution")
def convolution(
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    """Convolution, and transposed convolution, over any number of axes."""
    n = x.ndim - 2
    # torch repeats a single number for every axis.
    stride, padding, dilation, extra = (
        tuple(size) * (n if len(size) == 1 else 1) for size in (stride, padding, dilation, output_padding)
    )
    if not transposed:
        return F.conv(x, weight, bias, stride, padding, dilation=dilation, groups=groups)
    sizes = [
        s * (length - 1) + d * (k - 1) + 1 - 2 * p + e
        for length, k, s, p, d, e in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, extra, strict=True)
    ]
    return F.deconv(x, weight, bias, stride, padding, sizes, dilation=dilation, groups=groups)


@translates("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    """Max pooling; a last window that hangs over the border (`ceil_mode`) sees minus infinity there."""
    kernel, pad, dilations = (_each(x, size) for size in (kernel_size, padding, dilation))
    windows = Windows(kernel, _each(x, stride or kernel), pad, dilations)
    if ceil_mode and any(over := _overhang(x, windows)):
        x = F.pad(x, [(0, n) for n in over], -math.inf)
    return MaxPool(windows)(x)


def _each(x: Value, size: int | Sequence[int]) -> tuple[int, ...]:
    sizes = (size,) if isinstance(size, int) else tuple(size)
    return sizes * (x.ndim - 2) if len(sizes) == 1 else sizes


def _overhang(x: Value, windows: Windows) -> list[int]:
    """By how much the last window of each axis reaches beyond the border; it must begin inside the image."""
    lengths = []
    for n, k, s, p, d in zip(x.shape[2:], windows.kernel, windows.stride, windows.pad, windows.dilation, strict=True):
        reach = d * (k - 1) + 1
        count = math.ceil((n + 2 * p - reach) / s) + 1
        count -= (count - 1) * s >= n + p
        lengths.append(max((count - 1) * s + reach - n - 2 * p, 0))
    return lengths


@translates("avg_pool2d", "avg_pool3d")
def avg_pool(
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Average pooling with a border of zeros."""
    kernel, pad = _each(x, kernel_size), _each(x, padding)
    windows = Windows(kernel, _each(x, stride or kernel), pad, _each(x, 1))
    if (ceil_mode and any(_overhang(x, windows))) or (any(pad) and not count_include_pad):
        raise NotImplementedError(
            "model.engine=scratch: the engine's average pooling counts its border and has no ceil_mode"
        )
    y = F.average_pooling(x, kernel, windows.stride, pad)
    return y if divisor_override is None else y * (math.prod(kernel) / divisor_override)


@translates("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_avg_pool(x: Value, output_size: Sequence[int]) -> Value:
    """Means over parts of each axis: a product with a matrix of weights, axis by axis."""
    lead = x.ndim - len(output_size)
    for i, size in enumerate(output_size):
        x = _along(x, lead + i, torch.nn.functional.adaptive_avg_pool1d, size)
    return x


@translates("upsample_bilinear2d", "upsample_linear1d", "upsample_trilinear3d")
def upsample_linear(
    x: Value,
    output_size: Sequence[int] | None,
    align_corners: bool,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """Linear interpolation, axis by axis."""
    return _resize(x, output_size, scale_factors, "linear", align_corners=align_corners)


@translates("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def upsample_nearest(
    x: Value, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None = None
) -> Value:
    """The nearest element, axis by axis."""
    return _resize(x, output_size, scale_factors, "nearest", align_corners=None)


def _resize(
    x: Value,
    sizes: Sequence[int] | None,
    scales: Sequence[float] | None,
    mode: str,
    *,
    align_corners: bool | None,
) -> Value:
    for i in range(x.ndim - 2):
        size = None if sizes is None else sizes[i]
        scale = None if sizes is not None or scales is None else scales[i]
        x = _along(x, 2 + i, torch.nn.functional.interpolate, size, scale, mode=mode, align_corners=align_corners)
    return x


def _along(x: Value, axis: int, operation: Any, *arguments: Any, **options: Any) -> Value:
    """A linear operation of one axis, as the product with the matrix that it makes of unit vectors."""
    array = constant(x)
    units = torch.eye(array.shape[axis], dtype=array.dtype, device=array.device)
    matrix = operation(units[None], *arguments, **options)[0]
    moved = list(range(x.ndim))
    moved[axis], moved[-1] = moved[-1], moved[axis]
    return F.transpose(F.matmul(F.transpose(x, moved), matrix), moved)


@translates("batch_norm")
def batch_norm(
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Value:
    """Batch normalisation; the running statistics move in place."""
    array = constant(x)
    scale = array.new_ones(x.shape[1]) if weight is None else weight
    shift = array.new_zeros(x.shape[1]) if bias is None else bias
    if running_mean is None or running_var is None:
        running_mean, running_var, momentum = array.new_zeros(x.shape[1]), array.new_ones(x.shape[1]), 0.0
    with using_config("train", training):
        return F.batch_norm(x, scale, shift, running_mean, running_var, decay=1.0 - momentum, eps=eps)


@translates("layer_norm")
def layer_norm(
    x: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Value:
    """Normalised over the last axes (https://arxiv.org/abs/1607.06450)."""
    y = Normalize(tuple(range(x.ndim - len(normalized_shape), x.ndim)), eps)(x)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@translates("group_norm")
def group_norm(
    x: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Value:
    """Normalised over groups of channels (https://arxiv.org/abs/1803.08494)."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    y = F.reshape(Normalize((2,), eps)(F.reshape(x, (x.shape[0], num_groups, -1))), x.shape)
    y = y if weight is None else y * F.reshape(weight, shape)
    return y if bias is None else y + F.reshape(bias, shape)


@translates("native_dropout")
def native_dropout(x: Value, p: float, train: bool | None) -> tuple[Value, torch.Tensor]:
    """Dropout with the mask that torch would draw."""
    mask = torch.ops.aten.native_dropout(torch.ones_like(constant(x)), p, train)[1]
    return x * (mask.to(x.dtype) / (1.0 - p if p < 1.0 else 1.0)), mask


@translates("softmax.int")
def softmax(x: Value, dim: int, dtype: torch.dtype | None = None) -> Value:
    """Softmax along an axis."""
    return F.softmax(x if dtype is None else F.cast(x, dtype), dim)


@translates("log_softmax.int")
def log_softmax(x: Value, dim: int, dtype: torch.dtype | None = None) -> Value:
    """Its logarithm."""
    return F.log_softmax(x if dtype is None else F.cast(x, dtype), dim)


@translates("_softmax")
def plain_softmax(x: Value, dim: int, *rest: Any) -> Value:
    """What softmax becomes inside other operations."""
    return F.softmax(x, dim)


@translates("_log_softmax")
def plain_log_softmax(x: Value, dim: int, half_to_float: bool) -> Value:
    """What its logarithm becomes inside other operations."""
    return F.log_softmax(x, dim)
