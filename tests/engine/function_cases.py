"""For every function of the engine: random inputs, ours, and torch's own."""

# ruff: noqa: N803, N806 - a weight is W

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import torch
import torch.nn.functional as torch_functions
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from engine import functions as F

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Case(NamedTuple):
    inputs: list[torch.Tensor]
    ours: Callable[..., Any]
    torchs: Callable[..., Any]


CASES: dict[str, Callable[[Draw], Case]] = {}

small = st.integers(1, 4)


def normal(draw: Draw, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def positive(draw: Draw, *shape: int) -> torch.Tensor:
    return normal(draw, *shape).abs() + 0.3


def probability(draw: Draw, *shape: int) -> torch.Tensor:
    return normal(draw, *shape).sigmoid() * 0.9 + 0.05


def integers(draw: Draw, high: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randint(high, shape, generator=generator)


def a_shape(draw: Draw, min_dims: int = 0, max_dims: int = 4) -> tuple[int, ...]:
    return draw(array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=4)) if max_dims else ()


def two_shapes(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=1)).input_shapes


def case(make: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
    CASES[make.__name__.removesuffix("_")] = make
    return make


def _unary(name: str, ours: Any, torchs: Any, sample: Any = normal) -> None:
    CASES[name] = lambda draw: Case([sample(draw, *a_shape(draw))], ours, torchs)


def _binary(name: str, ours: Any, torchs: Any, first: Any = normal, second: Any = normal) -> None:
    def make(draw: Draw) -> Case:
        shape0, shape1 = two_shapes(draw)
        return Case([first(draw, *shape0), second(draw, *shape1)], ours, torchs)

    CASES[name] = make


_unary("copy", F.copy, torch.clone)
_unary("cast", lambda x: F.cast(x, torch.float64), lambda x: x.to(torch.float64))
_unary("neg", F.neg, torch.neg)
_unary("exp", F.exp, torch.exp)
_unary("log", F.log, torch.log, positive)
_unary("sqrt", F.sqrt, torch.sqrt, positive)
_unary("sin", F.sin, torch.sin)
_unary("cos", F.cos, torch.cos)
_unary("tanh", F.tanh, torch.tanh)
_unary("erf", F.erf, torch.erf)
_unary("abs", F.abs, torch.abs)
_unary("sigmoid", F.sigmoid, torch.sigmoid)
_unary("relu", F.relu, torch.relu)
_unary("gelu", F.gelu, torch_functions.gelu)
_unary("leaky_relu", F.leaky_relu, lambda x: torch_functions.leaky_relu(x, 0.2))
_unary("clip", lambda x: F.clip(x, -0.5, 0.7), lambda x: x.clamp(-0.5, 0.7))
_unary("number ** x", lambda x: 2.5**x, lambda x: 2.5**x)
_unary("x ** number", lambda x: x**2.5, lambda x: x**2.5, positive)
_unary("x ** integer", lambda x: x**3, lambda x: x**3)
_unary("number / x", lambda x: 2.0 / x, lambda x: 2.0 / x, positive)
_unary("number - x", lambda x: 2.0 - x, lambda x: 2.0 - x)
_binary("add", F.add, torch.add)
_binary("sub", F.sub, torch.sub)
_binary("mul", F.mul, torch.mul)
_binary("div", F.div, torch.div, second=positive)
_binary("pow", F.pow, torch.pow, first=positive)
_binary("maximum", F.maximum, torch.maximum)
_binary("minimum", F.minimum, torch.minimum)


@case
def where(draw: Draw) -> Case:
    shape0, shape1 = two_shapes(draw)
    condition = normal(draw, *torch.broadcast_shapes(shape0, shape1)) > 0
    return Case(
        [normal(draw, *shape0), normal(draw, *shape1)],
        lambda a, b: F.where(condition, a, b),
        lambda a, b: torch.where(condition, a, b),
    )


@case
def reshape(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 1))
    shape = draw(st.sampled_from([(-1,), (x.shape[0], -1), (1, *x.shape), (-1, x.shape[-1])]))
    return Case([x], lambda x: F.reshape(x, shape), lambda x: x.reshape(shape))


@case
def flatten(draw: Draw) -> Case:
    return Case([normal(draw, *a_shape(draw, 2))], F.flatten, lambda x: x.flatten(1))


@case
def transpose(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw))
    axes = draw(st.permutations(range(x.ndim)))
    axes = [axis - x.ndim * draw(st.integers(0, 1)) for axis in axes]
    return Case([x], lambda x: F.transpose(x, axes), lambda x: x.permute(axes))


@case
def expand_dims(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw))
    axis = draw(st.integers(-x.ndim - 1, x.ndim))
    return Case([x], lambda x: F.expand_dims(x, axis), lambda x: x.unsqueeze(axis))


@case
def squeeze(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 1, 3), 1, *a_shape(draw, 1, 1))
    return Case([x], lambda x: F.squeeze(x, -2), lambda x: x.squeeze(-2))


@case
def broadcast_to(draw: Draw) -> Case:
    shapes = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=1))
    x, target = normal(draw, *shapes.input_shapes[0]), shapes.result_shape
    return Case([x], lambda x: F.broadcast_to(x, target), lambda x: x.expand(target))


@case
def sum_to(draw: Draw) -> Case:
    shapes = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=1))
    x, target = normal(draw, *shapes.result_shape), shapes.input_shapes[0]
    return Case([x], lambda x: F.sum_to(x, target), lambda x: x.sum_to_size(target))


@case
def get_item(draw: Draw) -> Case:
    x = normal(draw, draw(small) + 1, draw(small) + 1, draw(small))
    rows = integers(draw, len(x), 5)
    index = draw(
        st.sampled_from(
            [
                *(0, -1, slice(1, None), (slice(None), 1), (..., None, 0)),
                *(rows, (rows, 1), (slice(None), rows % x.shape[1]), x > 0, rows.reshape(5, 1)),
                (rows[:2], rows[2:4] % x.shape[1]),
            ]
        )
    )
    return Case([x], lambda x: F.get_item(x, index), lambda x: x[index])


@case
def embed_id(draw: Draw) -> Case:
    ids = integers(draw, 6, *a_shape(draw, 1, 2))
    return Case([normal(draw, 6, 3)], lambda t: F.embed_id(ids, t), lambda t: torch_functions.embedding(ids, t))


@case
def concatenate(draw: Draw) -> Case:
    axis = draw(st.integers(-2, 1))
    inputs = [normal(draw, 2, 2), normal(draw, *((3, 2) if axis % 2 == 0 else (2, 3)))]
    return Case(inputs, lambda *xs: F.concatenate(xs, axis), lambda *xs: torch.cat(xs, axis))


@case
def stack(draw: Draw) -> Case:
    shape = a_shape(draw)
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    inputs = [normal(draw, *shape) for _ in range(3)]
    return Case(inputs, lambda *xs: F.stack(xs, axis), lambda *xs: torch.stack(xs, axis))


@case
def split(draw: Draw) -> Case:
    x = normal(draw, 3, 6)
    kept = draw(st.integers(0, 2))  # the other outputs are not used
    return Case([x], lambda x: F.split(x, [1, 2, 3], axis=1)[kept], lambda x: x.split([1, 2, 3], 1)[kept])


@case
def pad(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 2))
    value = draw(st.sampled_from([0.0, 1.5]))
    return Case(
        [x],
        lambda x: F.pad(x, [(1, 2), (0, 3)], value),
        lambda x: torch_functions.pad(x, (0, 3, 1, 2), value=value),
    )


def _reduction(name: str, ours: Any, torchs: Any) -> None:
    def make(draw: Draw) -> Case:
        x = normal(draw, *a_shape(draw, 1))
        axis = draw(st.sampled_from([None, 0, -1, tuple(range(x.ndim))]))
        keepdims = draw(st.booleans())
        axes = tuple(range(x.ndim)) if axis is None else axis
        return Case([x], lambda x: ours(x, axis, keepdims=keepdims), lambda x: torchs(x, axes, keepdim=keepdims))

    CASES[name] = make


_reduction("sum", F.sum, torch.sum)
_reduction("mean", F.mean, torch.mean)
_reduction("average", F.average, torch.mean)
_reduction("max", F.max, torch.amax)
_reduction("min", F.min, torch.amin)


@case
def softmax(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 2))
    axis = draw(st.integers(-1, x.ndim - 1))
    return Case([x], lambda x: F.softmax(x, axis), lambda x: x.softmax(axis))


@case
def log_softmax(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 2))
    axis = draw(st.integers(-1, x.ndim - 1))
    return Case([x], lambda x: F.log_softmax(x, axis), lambda x: x.log_softmax(axis))


@case
def matmul(draw: Draw) -> Case:
    n, k, m = draw(small), draw(small), draw(small)
    shape0, shape1 = two_shapes(draw)
    first = draw(st.sampled_from([(k,), (n, k), (*shape0[-2:], n, k)]))
    second = draw(st.sampled_from([(k,), (k, m), (*shape1[-2:], k, m)]))
    return Case([normal(draw, *first), normal(draw, *second)], F.matmul, torch.matmul)


@case
def linear(draw: Draw) -> Case:
    k, m = draw(small), draw(small)
    inputs = [normal(draw, *a_shape(draw, 1, 3), k), normal(draw, k, m)]
    if draw(st.booleans()):
        return Case(inputs, F.linear, lambda x, W: x @ W)
    return Case([*inputs, normal(draw, m)], F.linear, lambda x, W, b: x @ W + b)


@case
def softmax_cross_entropy(draw: Draw) -> Case:
    x = normal(draw, draw(small), draw(small))
    t = integers(draw, x.shape[1], len(x))
    return Case([x], lambda x: F.softmax_cross_entropy(x, t), lambda x: torch_functions.cross_entropy(x, t))


@case
def mean_squared_error(draw: Draw) -> Case:
    shape = a_shape(draw, 1)
    inputs = [normal(draw, *shape), normal(draw, *shape)]
    return Case(inputs, F.mean_squared_error, lambda a, b: ((a - b) ** 2).sum() / len(a))


@case
def sigmoid_cross_entropy(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw)) * draw(st.sampled_from([0.0, 1.0, 30.0]))
    t = integers(draw, 2, *x.shape).double()
    theirs = torch_functions.binary_cross_entropy_with_logits
    return Case([x], lambda x: F.sigmoid_cross_entropy(x, t), lambda x: theirs(x, t))


@case
def binary_cross_entropy(draw: Draw) -> Case:
    p = probability(draw, *a_shape(draw))
    t = integers(draw, 2, *p.shape).double()
    return Case([p], lambda p: F.binary_cross_entropy(p, t), lambda p: torch_functions.binary_cross_entropy(p, t))


@case
def batch_norm(draw: Draw) -> Case:
    channels = draw(small)
    x = normal(draw, draw(small) + 1, channels, *draw(st.sampled_from([(), (3,), (2, 3)])))
    mean, var = normal(draw, channels), positive(draw, channels)

    def ours(x: Any, gamma: Any, beta: Any) -> Any:
        return F.batch_norm(x, gamma, beta, mean.clone(), var.clone())

    def torchs(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return torch_functions.batch_norm(x, mean.clone(), var.clone(), gamma, beta, training=True, eps=2e-5)

    return Case([x, normal(draw, channels), normal(draw, channels)], ours, torchs)


@case
def layer_norm(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 1, 3), 5)
    return Case(
        [x, normal(draw, 5), normal(draw, 5)], F.layer_norm, lambda x, g, b: torch_functions.layer_norm(x, (5,), g, b)
    )


@case
def dropout(draw: Draw) -> Case:
    x = normal(draw, *a_shape(draw, 1))

    def ours(x: Any) -> Any:
        torch.manual_seed(3)
        return F.dropout(x, 0.4)

    def torchs(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return x * (torch.rand(x.shape) >= 0.4) / 0.6

    return Case([x], ours, torchs)


CONVOLUTIONS = [torch_functions.conv1d, torch_functions.conv2d, torch_functions.conv3d]
TRANSPOSED = [torch_functions.conv_transpose1d, torch_functions.conv_transpose2d, torch_functions.conv_transpose3d]


def _geometry(draw: Draw, num_axes: int) -> tuple[list[int], list[int], list[int], list[int]]:
    def each(low: int, high: int) -> list[int]:
        return [draw(st.integers(low, high)) for _ in range(num_axes)]

    return each(1, 3), each(1, 2), each(0, 2), each(1, 2)


def _convolution(name: str, num_axes: int, ours: Any) -> None:
    def make(draw: Draw) -> Case:
        kernel, stride, padding, dilation = _geometry(draw, num_axes)
        groups, channels, out = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
        size = [k * 2 + draw(st.integers(0, 1)) for k in kernel]
        options: dict[str, Any] = {"dilation": dilation, "groups": groups}
        x, W = normal(draw, 2, channels * groups, *size), normal(draw, out * groups, channels, *kernel)
        return Case(
            [x, W, normal(draw, out * groups)],
            lambda x, W, b: ours(x, W, b, stride, padding, **options),
            lambda x, W, b: CONVOLUTIONS[num_axes - 1](x, W, b, stride, padding, **options),
        )

    CASES[name] = make


def _transposed(name: str, num_axes: int, ours: Any) -> None:
    def make(draw: Draw) -> Case:
        kernel, stride, padding, dilation = _geometry(draw, num_axes)
        padding = [min(p, d * (k - 1) // 2) for p, d, k in zip(padding, dilation, kernel, strict=True)]
        groups, channels, out = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
        size = [draw(st.integers(1, 3)) for _ in kernel]
        extra = [draw(st.integers(0, s - 1)) for s in stride]
        geometry = zip(size, kernel, stride, padding, dilation, extra, strict=True)
        outsize = [s * (n - 1) + d * (k - 1) + 1 - 2 * p + e for n, k, s, p, d, e in geometry]
        x, W = normal(draw, 2, channels * groups, *size), normal(draw, channels * groups, out, *kernel)
        return Case(
            [x, W, normal(draw, out * groups)],
            lambda x, W, b: ours(x, W, b, stride, padding, outsize, dilation=dilation, groups=groups),
            lambda x, W, b: TRANSPOSED[num_axes - 1](x, W, b, stride, padding, extra, groups, dilation),
        )

    CASES[name] = make


_convolution("conv2d", 2, F.conv2d)
_convolution("conv of sound", 1, F.conv)
_convolution("conv", 3, F.conv)
_transposed("deconv2d", 2, F.deconv2d)
_transposed("deconv", 3, F.deconv)


def _pooling(name: str, ours: Any, torchs: list[Any]) -> None:
    def make(draw: Draw) -> Case:
        num_axes = draw(st.integers(1, 3))
        kernel = [draw(st.integers(1, 3)) for _ in range(num_axes)]
        stride = [draw(st.integers(1, 3)) for _ in range(num_axes)]
        padding = [draw(st.integers(0, k // 2)) for k in kernel]
        x = normal(draw, 2, 2, *[k + draw(st.integers(0, 3)) for k in kernel])
        return Case(
            [x],
            lambda x: ours(x, kernel, stride, padding),
            lambda x: torchs[num_axes - 1](x, kernel, stride, padding),
        )

    CASES[name] = make


_pooling("pooling", F.pooling, [torch_functions.max_pool1d, torch_functions.max_pool2d, torch_functions.max_pool3d])
_pooling(
    "average_pooling",
    F.average_pooling,
    [torch_functions.avg_pool1d, torch_functions.avg_pool2d, torch_functions.avg_pool3d],
)


@case
def im2col(draw: Draw) -> Case:
    x = normal(draw, 2, 2, 5, 6)
    kernel, stride, pad = (draw(small), draw(small)), (draw(small), 1), (draw(st.integers(0, 2)), 1)

    def torchs(x: torch.Tensor) -> torch.Tensor:
        columns = torch_functions.unfold(x, kernel, padding=pad, stride=stride)
        return columns.transpose(1, 2).reshape(-1, columns.shape[1])

    return Case([x], lambda x: F.im2col(x, kernel, stride, pad), torchs)


@case
def col2im(draw: Draw) -> Case:
    kernel, stride, pad = (draw(small), draw(small)), (draw(small), 1), (draw(st.integers(0, 2)), 1)
    counts = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip((5, 6), pad, kernel, stride, strict=True)]
    columns = normal(draw, 2, *counts, 2 * kernel[0] * kernel[1]).flatten(0, 2)

    def torchs(columns: torch.Tensor) -> torch.Tensor:
        columns = columns.reshape(2, math.prod(counts), -1).transpose(1, 2)
        return torch_functions.fold(columns, (5, 6), kernel, padding=pad, stride=stride)

    return Case([columns], lambda x: F.col2im(x, (2, 2, 5, 6), kernel, stride, pad), torchs)


@case
def lstm_cell(draw: Draw) -> Case:
    def torchs(gates: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        i, f, g, o = gates.chunk(4, 1)
        state = f.sigmoid() * state + i.sigmoid() * g.tanh()
        return torch.cat([o.sigmoid() * state.tanh(), state], 1)

    def ours(gates: Any, state: Any) -> Any:
        return F.concatenate(F.lstm_cell(gates, state), axis=1)

    return Case([normal(draw, 2, 12), normal(draw, 2, 3)], ours, torchs)


@case
def gru_cell(draw: Draw) -> Case:
    cell = torch.nn.GRUCell(3, 3, dtype=torch.float64)
    eye = torch.eye(9, 3, dtype=torch.float64)
    inputs = [normal(draw, 2, 3), normal(draw, 9, 3), normal(draw, 9, 3), normal(draw, 2, 3)]

    def torchs(x: torch.Tensor, W_x: torch.Tensor, W_h: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        weights = {"weight_ih": W_x, "weight_hh": W_h, "bias_ih": eye[:, 0], "bias_hh": eye[:, 1]}
        return torch.func.functional_call(cell, weights, (x, h))

    def ours(x: Any, W_x: Any, W_h: Any, h: Any) -> Any:
        x_gates = F.linear(x, F.transpose(W_x)) + eye[:, 0]
        return F.gru_cell(x_gates, F.linear(h, F.transpose(W_h)) + eye[:, 1], h)

    return Case(inputs, ours, torchs)


@case
def rnn_cell(draw: Draw) -> Case:
    inputs = [normal(draw, 2, 3), normal(draw, 2, 4), normal(draw, 3, 4), normal(draw, 4, 4), normal(draw, 4)]
    return Case(inputs, F.rnn_cell, lambda x, h, W_x, W_h, b: torch.tanh(x @ W_x + b + h @ W_h))
