"""Batch and layer normalisation, and dropout."""

from __future__ import annotations

import torch

from engine.config import config
from engine.function import Function
from engine.functions.elementwise import constant, mul
from engine.functions.reductions import mean
from engine.functions.shapes import reshape
from engine.variable import Array, Value


class Normalize(Function):
    """Zero mean and unit variance over some axes (https://arxiv.org/abs/1502.03167, algorithm 1, without scale)."""

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes = axes
        self.eps = eps

    def forward(self, x: Array) -> Array:
        variance, average = torch.var_mean(x, self.axes, correction=0, keepdim=True)
        return (x - average) * (variance + self.eps).rsqrt()

    def backward(self, gy: Value, x: Value) -> Value:
        # Mean and variance are computed again from x: so they are part of what create_graph differentiates.
        centred = x - mean(x, self.axes, keepdims=True)
        inverse_std = (mean(centred * centred, self.axes, keepdims=True) + self.eps) ** -0.5
        normal = centred * inverse_std
        shared = mean(gy, self.axes, keepdims=True) + normal * mean(gy * normal, self.axes, keepdims=True)
        return (gy - shared) * inverse_std


def batch_norm(
    x: Value,
    gamma: Value,
    beta: Value,
    running_mean: Array,
    running_var: Array,
    *,
    decay: float = 0.9,
    eps: float = 2e-5,
) -> Value:
    """Batch normalisation (https://arxiv.org/abs/1502.03167) over all axes but the second.

    Outside `test_mode` the batch's own statistics are used, and the running ones are moved towards them in place; in
    `test_mode` the running ones are used, and gradients pass as through any scaling.
    """
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *(1,) * (x.ndim - 2))
    if config.train:
        array = constant(x)
        variance, average = torch.var_mean(array, axes, correction=0)
        count = array.numel() // array.shape[1]
        running_mean.lerp_(average.to(running_mean.dtype), 1.0 - decay)
        running_var.lerp_(variance.to(running_var.dtype) * (count / max(count - 1, 1)), 1.0 - decay)
        normal = Normalize(axes, eps)(x)
    else:
        inverse_std = (running_var + eps).rsqrt().reshape(shape)
        normal = (x - running_mean.reshape(shape)) * inverse_std
    return normal * reshape(gamma, shape) + reshape(beta, shape)


def layer_norm(x: Value, gamma: Value, beta: Value, *, eps: float = 1e-5) -> Value:
    """Layer normalisation over the last axis (https://arxiv.org/abs/1607.06450)."""
    return Normalize((x.ndim - 1,), eps)(x) * gamma + beta


def dropout(x: Value, dropout_ratio: float = 0.5) -> Value:
    """Set a share of the elements to zero and scale the others up; outside training nothing happens."""
    if not 0.0 <= dropout_ratio < 1.0:
        raise ValueError(f"dropout_ratio={dropout_ratio} is not in [0, 1)")
    if not config.train or dropout_ratio == 0.0:
        return x
    kept = torch.rand(x.shape, device=x.device) >= dropout_ratio
    return mul(x, kept.to(constant(x).dtype) / (1.0 - dropout_ratio))
