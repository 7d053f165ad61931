"""Reshaping, joining, choosing elements, and sums over axes."""

# ruff: noqa: A002, ARG001, ARG005, FBT001, FBT002 - names, order and defaults of parameters are torch's

import functools
from collections.abc import Sequence
from typing import Any

import torch

from engine import Value, Variable
from engine import functions as F
from engine.functions.elementwise import constant
from experiment.engine_bridge.operation_table import axis_of, translates

translates("view.default", "_unsafe_view", "_reshape_alias")(lambda x, shape, *strides: F.reshape(x, shape))
translates("permute")(F.transpose)
translates("t")(lambda x: F.transpose(x) if x.ndim > 1 else F.reshape(x, x.shape))
translates("alias")(lambda x: F.reshape(x, x.shape))
translates("unsqueeze")(F.expand_dims)
translates("stack")(F.stack)
translates("split_with_sizes")(lambda x, sizes, dim=0: F.split(x, sizes, axis_of(dim, x)))


@translates("transpose.int")
def transpose(x: Value, dim0: int, dim1: int) -> Value:
    """Two axes exchanged."""
    axes = list(range(x.ndim))
    if axes:
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return F.transpose(x, axes)


@translates("squeeze")
def squeeze(x: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Without axes of length 1: all, or those named."""
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    named = {axis_of(d, x) for d in dims}
    return F.reshape(x, [n for axis, n in enumerate(x.shape) if n != 1 or axis not in named])


@translates("expand")
def expand(x: Value, size: Sequence[int], *, implicit: bool = False) -> Value:
    """Repeated without copies; -1 keeps a length."""
    lead = len(size) - x.ndim
    return F.broadcast_to(x, [x.shape[i - lead] if n == -1 else n for i, n in enumerate(size)])


@translates("slice.Tensor")
def slice_along(x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Value:
    """Part of an axis."""
    return F.get_item(x, (*(slice(None),) * axis_of(dim, x), slice(start, end, step)))


@translates("select.int")
def select(x: Value, dim: int, index: int) -> Value:
    """One place of an axis."""
    return F.get_item(x, (*(slice(None),) * axis_of(dim, x), index))


@translates("cat")
def cat(xs: Sequence[Value], dim: int = 0) -> Value:
    """Joined along an axis; torch lets empty vectors join anything."""
    joined = [x for x in xs if x.shape != (0,)]
    return F.concatenate(joined, axis_of(dim, joined[0]))


@translates("split.Tensor", "unsafe_split.Tensor")
def split(x: Value, split_size: int, dim: int = 0) -> tuple[Value, ...]:
    """Pieces of one size; the last may be smaller."""
    length = x.shape[dim]
    sizes = [min(split_size, length - start) for start in range(0, length, split_size)]
    return F.split(x, sizes, axis_of(dim, x))


@translates("unbind.int")
def unbind(x: Value, dim: int = 0) -> tuple[Value, ...]:
    """The places of an axis."""
    return tuple([select(x, dim, index) for index in range(x.shape[dim])])


@translates("embedding")
def embedding(weight: Value, indices: torch.Tensor, padding_idx: int = -1, *frequencies_and_sparse: bool) -> Value:
    """Rows of a table; the row of padding gets no gradient."""
    rows = F.embed_id(indices, weight)
    return rows if padding_idx < 0 else F.where((indices == padding_idx)[..., None], constant(rows), rows)


@translates("constant_pad_nd")
def constant_pad_nd(x: Value, pad: Sequence[int], value: float = 0) -> Value:
    """A border around the last axes, given from the last axis on; a negative one cuts."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    inside = (..., *(slice(max(-before, 0), min(after, 0) or None) for before, after in pairs))
    return F.pad(F.get_item(x, inside), [(max(before, 0), max(after, 0)) for before, after in pairs], float(value))


def pick(operation: Any, x: Value, *arguments: Any, **options: Any) -> Value:
    """What an operation that only chooses and moves elements does with x: what it does with their numbers."""
    array = constant(x)
    numbers = operation(torch.arange(array.numel(), device=array.device).reshape(array.shape), *arguments, **options)
    return F.get_item(F.reshape(x, (-1,)), numbers)


for _choosing in (
    torch.ops.aten.index,
    torch.ops.aten.index_select,
    torch.ops.aten.gather,
    torch.ops.aten.masked_select,
    torch.ops.aten.take,
    torch.ops.aten.flip,
    torch.ops.aten.roll,
    torch.ops.aten.repeat,
    torch.ops.aten.unfold,
    torch.ops.aten.diagonal,
    torch.ops.aten.pixel_shuffle,
    torch.ops.aten.pixel_unshuffle,
):
    translates(_choosing._qualified_op_name.removeprefix("aten::"))(functools.partial(pick, _choosing))


def _triangle(part: Any, x: Value, diagonal: int = 0) -> Value:
    """One triangle of matrices; zeros elsewhere."""
    return F.where(part(torch.ones(x.shape, dtype=torch.bool, device=x.device), diagonal), x, 0.0)


translates("tril")(functools.partial(_triangle, torch.tril))
translates("triu")(functools.partial(_triangle, torch.triu))


@translates("sum")
def sum_over(
    x: Value,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Value:
    """The sum over axes; none named means all."""
    return F.sum(_in(x, dtype), _axes(dim), keepdims=keepdim)


@translates("mean")
def mean(
    x: Value,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Value:
    """The mean over axes; none named means all."""
    return F.mean(_in(x, dtype), _axes(dim), keepdims=keepdim)


@translates("amax")
def amax(x: Value, dim: Sequence[int] = (), keepdim: bool = False) -> Value:
    """The largest; equal ones share the gradient."""
    return F.max(x, _axes(dim), keepdims=keepdim)


@translates("amin")
def amin(x: Value, dim: Sequence[int] = (), keepdim: bool = False) -> Value:
    """The smallest; equal ones share the gradient."""
    return F.min(x, _axes(dim), keepdims=keepdim)


translates("max.default")(F.max)
translates("min.default")(F.min)
translates("max.other")(F.maximum)
translates("min.other")(F.minimum)


def _extreme(arg: Any, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, torch.Tensor]:
    """The largest (or smallest) along an axis and where it is; of equal ones the first alone gets the gradient."""
    places = arg(constant(x), dim, keepdim=True)
    values = pick(torch.gather, x, dim, places)
    return (values, places) if keepdim else (squeeze(values, dim), places.squeeze(dim))


translates("max.dim")(functools.partial(_extreme, torch.argmax))
translates("min.dim")(functools.partial(_extreme, torch.argmin))


@translates("topk")
def topk(x: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Value, torch.Tensor]:
    """The k largest (or smallest) along an axis, and where they are."""
    places = torch.topk(constant(x), k, dim, largest=largest, sorted=sorted).indices
    return pick(torch.gather, x, dim, places), places


@translates("var.correction")
def var(
    x: Value, dim: int | Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    """The variance over axes, with Bessel's correction unless another is named."""
    axes = _axes(dim)
    centred = x - F.mean(x, axes, keepdims=True)
    count = centred.size if isinstance(centred, Variable) else centred.numel()
    squares = F.sum(centred * centred, axes, keepdims=keepdim)
    return squares * (
        constant(squares).numel() / (count - constant(squares).numel() * (1 if correction is None else correction))
    )


@translates("std.correction")
def std(
    x: Value, dim: int | Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    """The square root of the variance."""
    return F.sqrt(var(x, dim, correction=correction, keepdim=keepdim))


@translates("var_mean.correction")
def var_mean(
    x: Value, dim: int | Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """Variance and mean."""
    return var(x, dim, correction=correction, keepdim=keepdim), F.mean(x, _axes(dim), keepdims=keepdim)


@translates("logsumexp")
def logsumexp(x: Value, dim: int | Sequence[int], keepdim: bool = False) -> Value:
    """The logarithm of the sum of exponentials, without overflow."""
    largest = constant(x).amax(dim if isinstance(dim, int) else tuple(dim), keepdim=True)
    total = F.log(F.sum(F.exp(x - largest), _axes(dim), keepdims=True)) + largest
    return total if keepdim else squeeze(total, dim)


@translates("linalg_vector_norm")
def vector_norm(
    x: Value,
    ord: float = 2,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Value:
    """The Euclidean norm, or the sum of absolute values."""
    x = _in(x, dtype)
    if ord == 1:
        return F.sum(F.abs(x), _axes(dim), keepdims=keepdim)
    if ord == 2:
        return F.sqrt(F.sum(x * x, _axes(dim), keepdims=keepdim))
    raise NotImplementedError(f"model.engine=scratch: the engine has norms of order 1 and 2, not {ord}")


def _in(x: Value, dtype: torch.dtype | None) -> Value:
    return x if dtype is None or dtype == x.dtype else F.cast(x, dtype)


def _axes(dim: int | Sequence[int] | None) -> int | Sequence[int] | None:
    return None if dim is None or (not isinstance(dim, int) and len(dim) == 0) else dim
