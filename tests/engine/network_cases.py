"""For every function of networks: random inputs, ours, and torch's own."""

# ruff: noqa: N803, N806 - a weight is W

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import torch
import torch.nn.functional as torch_functions

from engine import functions as F
from tests.engine.function_cases import CASES, Case, Draw, a_shape, case, integers, normal, positive, probability, small


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
def lstm(draw: Draw) -> Case:
    inputs = [normal(draw, *shape) for shape in ((3, 2, 2), (12, 2), (12, 3), (12,), (2, 3), (2, 3))]

    def torchs(x: Any, W_x: Any, W_h: Any, b: Any, hidden: Any, state: Any) -> torch.Tensor:
        hiddens = []
        for step in x:
            i, f, g, o = (step @ W_x.T + b + hidden @ W_h.T).chunk(4, 1)
            state = f.sigmoid() * state + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * state.tanh()
            hiddens.append(hidden)
        return torch.cat([*hiddens, state])

    def ours(*arrays: Any) -> Any:
        y, last = F.lstm(*arrays)
        return F.concatenate([F.reshape(y, (6, 3)), last])

    return Case(inputs, ours, torchs)


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


@case
def linear_by_rows(draw: Draw) -> Case:
    n, m = draw(small), draw(small)
    inputs = [normal(draw, *a_shape(draw, 1, 3), n), normal(draw, m, n)]
    if draw(st.booleans()):
        return Case(inputs, F.linear_by_rows, torch_functions.linear)
    return Case([*inputs, normal(draw, m)], F.linear_by_rows, torch_functions.linear)
