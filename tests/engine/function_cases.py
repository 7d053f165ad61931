"""For every function of arrays: random inputs, ours, and torch's own."""

# ruff: noqa: N803 - a weight is W

from __future__ import annotations

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
