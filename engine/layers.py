"""Layers: parameters and the function that uses them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch

from engine import functions as F
from engine.functions.windows import Size, each_axis
from engine.variable import Array, Parameter, Value, as_array

# ruff: noqa: N806 - a weight is W


class Layer:
    """Something with parameters, found by their names: in attributes, in layers, and in lists and dicts of them."""

    parameter_class: ClassVar[type[Parameter]] = Parameter

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def named_arrays(self) -> Iterator[tuple[str, Parameter | Array]]:
        """Every parameter and every plain array (a running mean), each once, in the order of their creation."""
        seen: set[int] = set()
        for name, thing in _walk(self, ""):
            if id(thing) not in seen:
                seen.add(id(thing))
                yield name, thing

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, thing in self.named_arrays():
            if isinstance(thing, Parameter):
                yield name, thing

    def params(self) -> Iterator[Parameter]:
        for _, parameter in self.named_parameters():
            yield parameter

    def cleargrads(self) -> None:
        for parameter in self.params():
            parameter.cleargrad()

    def to(self, device: torch.device | str) -> None:
        """Move parameters and arrays to a device, in place: an optimiser keeps hold of them."""
        for _, thing in self.named_arrays():
            if isinstance(thing, Parameter):
                thing.to(device)
            else:
                thing.data = thing.to(device)


def _walk(thing: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, (Parameter, torch.Tensor)):
        yield name, thing
        return
    children: list[tuple[str, Any]] = []
    if isinstance(thing, Layer):
        children = list(vars(thing).items())
    elif isinstance(thing, dict):
        children = [(str(key), value) for key, value in thing.items()]
    elif isinstance(thing, (list, tuple)):
        children = [(str(i), value) for i, value in enumerate(thing)]
    for key, child in children:
        yield from _walk(child, f"{name}/{key}" if name else key)


class Linear(Layer):
    """`x W + b`. Without `in_size` the weight is made at the first input.

    The weight is drawn with variance 1 / in_size (LeCun et al. 1998, "Efficient BackProp", section 4.6).
    """

    def __init__(
        self,
        out_size: int,
        *,
        nobias: bool = False,
        dtype: torch.dtype = torch.float32,
        in_size: int | None = None,
    ) -> None:
        self.out_size = out_size
        self.dtype = dtype
        self.W = self.parameter_class(name="W")
        self.b = None if nobias else self.parameter_class(torch.zeros(out_size, dtype=dtype), name="b")
        if in_size is not None:
            self._initialise(in_size, None)

    def _initialise(self, in_size: int, device: torch.device | None) -> None:
        W = torch.randn(in_size, self.out_size, dtype=self.dtype, device=device)
        self.W.initialise(W * math.sqrt(1.0 / in_size))

    def forward(self, x: Value) -> Value:
        if self.W.is_lazy:
            self._initialise(x.shape[-1], x.device)
        return F.linear(x, self.W, self.b)


class Conv2d(Layer):
    """Convolution over the two axes of an image. Without `in_channels` the weight is made at the first input."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size = 1,
        pad: Size = 0,
        nobias: bool = False,
        dtype: torch.dtype = torch.float32,
        in_channels: int | None = None,
    ) -> None:
        self.out_channels = out_channels
        self.kernel_size = each_axis(kernel_size, 2)
        self.stride = stride
        self.pad = pad
        self.dtype = dtype
        self.W = self.parameter_class(name="W")
        self.b = None if nobias else self.parameter_class(torch.zeros(out_channels, dtype=dtype), name="b")
        if in_channels is not None:
            self._initialise(in_channels, None)

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        return (self.out_channels, in_channels, *self.kernel_size)

    def _initialise(self, in_channels: int, device: torch.device | None) -> None:
        W = torch.randn(self._weight_shape(in_channels), dtype=self.dtype, device=device)
        self.W.initialise(W * math.sqrt(1.0 / (in_channels * math.prod(self.kernel_size))))

    def forward(self, x: Value) -> Value:
        if self.W.is_lazy:
            self._initialise(x.shape[1], x.device)
        return F.conv2d(x, self.W, self.b, self.stride, self.pad)


class Deconv2d(Conv2d):
    """Transposed convolution over the two axes of an image."""

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        return (in_channels, self.out_channels, *self.kernel_size)

    def forward(self, x: Value) -> Value:
        if self.W.is_lazy:
            self._initialise(x.shape[1], x.device)
        return F.deconv2d(x, self.W, self.b, self.stride, self.pad)


class EmbedID(Layer):
    """A table with one row for each number."""

    def __init__(self, in_size: int, out_size: int) -> None:
        self.W = self.parameter_class(torch.randn(in_size, out_size), name="W")

    def forward(self, ids: Any) -> Value:
        return F.embed_id(as_array(ids), self.W)


class BatchNorm(Layer):
    """Batch normalisation with running statistics (https://arxiv.org/abs/1502.03167)."""

    def __init__(self, num_features: int | None = None, *, decay: float = 0.9, eps: float = 2e-5) -> None:
        self.decay = decay
        self.eps = eps
        self.gamma = self.parameter_class(name="gamma")
        self.beta = self.parameter_class(name="beta")
        self.avg_mean = self.parameter_class(name="avg_mean", requires_grad=False)
        self.avg_var = self.parameter_class(name="avg_var", requires_grad=False)
        if num_features is not None:
            self._initialise(torch.empty(0, num_features))

    def _initialise(self, like: Array) -> None:
        for parameter, value in ((self.gamma, 1.0), (self.beta, 0.0), (self.avg_mean, 0.0), (self.avg_var, 1.0)):
            parameter.initialise(like.new_full((like.shape[1],), value))

    def forward(self, x: Value) -> Value:
        if self.gamma.is_lazy:
            self._initialise(as_array(x))
        running = self.avg_mean.array, self.avg_var.array
        return F.batch_norm(x, self.gamma, self.beta, *running, decay=self.decay, eps=self.eps)


class RNN(Layer):
    """A simple recurrent layer: it remembers its hidden vector from call to call."""

    def __init__(self, hidden_size: int, in_size: int | None = None) -> None:
        self.x2h = Linear(hidden_size, in_size=in_size)
        self.h2h = Linear(hidden_size, in_size=hidden_size, nobias=True)
        self.h: Value | None = None

    def reset_state(self) -> None:
        self.h = None

    def forward(self, x: Value) -> Value:
        total = self.x2h(x) if self.h is None else self.x2h(x) + self.h2h(self.h)
        self.h = F.tanh(total)
        return self.h


class LSTM(Layer):
    """A long short-term memory: it remembers hidden vector and state from call to call.

    The four gates (input, forget, candidate, output) stand side by side in one weight.
    """

    def __init__(self, hidden_size: int, in_size: int | None = None) -> None:
        self.hidden_size = hidden_size
        self.x2g = Linear(4 * hidden_size, in_size=in_size)
        self.h2g = Linear(4 * hidden_size, in_size=hidden_size, nobias=True)
        self.h: Value | None = None
        self.c: Value | None = None

    def reset_state(self) -> None:
        self.h = self.c = None

    def forward(self, x: Value) -> Value:
        gates = self.x2g(x)
        if self.h is not None:
            gates = gates + self.h2g(self.h)
        state = torch.zeros((x.shape[0], self.hidden_size), dtype=as_array(gates).dtype, device=x.device)
        self.h, self.c = F.lstm_cell(gates, state if self.c is None else self.c)
        return self.h
