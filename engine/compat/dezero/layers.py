"""DeZero's layers: the engine's, which take numpy arrays and DeZero's order of arguments."""

# ruff: noqa: FBT001, FBT002 - DeZero's signatures

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from engine import layers
from engine.compat.dezero.variable import Parameter, Variable, as_variable
from engine.weights import load_weights, save_weights


def torch_dtype(dtype: Any) -> torch.dtype:
    """Numpy's name of a dtype in torch."""
    return torch.from_numpy(np.zeros(0, dtype=dtype)).dtype


class Layer(layers.Layer):
    """A layer that makes variables of numpy arrays before its `forward`, and keeps those of its last call.

    In DeZero `inputs` and `outputs` are weak references, kept alive by the graph. The engine's graph holds no
    variables, so these hold them until the next call.
    """

    parameter_class = Parameter
    inputs: list[Callable[[], Variable]]
    outputs: list[Callable[[], Variable]]

    def __call__(self, *inputs: Any) -> Any:
        inputs = tuple(as_variable(x) if isinstance(x, (np.ndarray, torch.Tensor)) else x for x in inputs)
        result = super().__call__(*inputs)
        outputs = result if isinstance(result, tuple) else (result,)
        self.inputs = [partial(as_variable, x) for x in inputs if isinstance(x, Variable)]
        self.outputs = [partial(as_variable, y) for y in outputs if isinstance(y, Variable)]
        return result

    def to_cpu(self) -> None:
        self.to("cpu")

    def to_gpu(self) -> None:
        self.to("cuda")

    def save_weights(self, path: str) -> None:
        save_weights(self, path)

    def load_weights(self, path: str) -> None:
        load_weights(self, path)


class Linear(Layer, layers.Linear):
    """DeZero's order of arguments."""

    def __init__(
        self, out_size: int, nobias: bool = False, dtype: Any = np.float32, in_size: int | None = None
    ) -> None:
        super().__init__(out_size, nobias=nobias, dtype=torch_dtype(dtype), in_size=in_size)


class Conv2d(Layer, layers.Conv2d):
    """DeZero's order of arguments."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad: Any = 0,
        nobias: bool = False,
        dtype: Any = np.float32,
        in_channels: int | None = None,
    ) -> None:
        super().__init__(
            out_channels,
            kernel_size,
            stride=stride,
            pad=pad,
            nobias=nobias,
            dtype=torch_dtype(dtype),
            in_channels=in_channels,
        )


class Deconv2d(Conv2d, layers.Deconv2d):
    """DeZero's order of arguments."""


class EmbedID(Layer, layers.EmbedID):
    """A table with one row for each number."""

    def __call__(self, x: Any) -> Any:
        return self.forward(x)


class BatchNorm(Layer, layers.BatchNorm):
    """Batch normalisation with running statistics."""


class RNN(Layer, layers.RNN):
    """A simple recurrent layer."""


class LSTM(Layer, layers.LSTM):
    """A long short-term memory; its four gates stand side by side in one weight."""
