"""Arithmetic, functions of one element, choices between two."""

# ruff: noqa: A002, ARG001, ARG005, FBT001, FBT002 - names, order and defaults of parameters are torch's

import math
from typing import Any

import torch

from engine import Value
from engine import functions as F
from engine.functions.elementwise import constant
from experiment.engine_bridge.operation_table import translates

translates("neg")(F.neg)
translates("exp")(F.exp)
translates("log")(F.log)
translates("sqrt")(F.sqrt)
translates("sin")(F.sin)
translates("cos")(F.cos)
translates("tanh")(F.tanh)
translates("sigmoid")(F.sigmoid)
translates("erf")(F.erf)
translates("abs")(F.abs)
translates("relu")(F.relu)
translates("mul")(F.mul)
translates("pow")(F.pow)
translates("maximum")(F.maximum)
translates("minimum")(F.minimum)
translates("clone")(lambda x, memory_format=None: F.copy(x))
translates("where.self")(F.where)


@translates("add")
def add(x0: Any, x1: Any, alpha: float = 1) -> Value:
    """`x0 + alpha x1`."""
    return F.add(x0, x1 if alpha == 1 else F.mul(x1, alpha))


@translates("sub")
def sub(x0: Any, x1: Any, alpha: float = 1) -> Value:
    """`x0 - alpha x1`."""
    return F.sub(x0, x1 if alpha == 1 else F.mul(x1, alpha))


@translates("rsub")
def rsub(x0: Any, x1: Any, alpha: float = 1) -> Value:
    """`x1 - alpha x0`."""
    return sub(x1, x0, alpha)


@translates("div.Tensor")
def div(x0: Any, x1: Any) -> Value:
    """`x0 / x1`."""
    return F.div(x0, x1)


@translates("reciprocal")
def reciprocal(x: Value) -> Value:
    """`1 / x`."""
    return F.div(1.0, x)


@translates("rsqrt")
def rsqrt(x: Value) -> Value:
    """`1 / √x`."""
    return F.pow(x, -0.5)


@translates("square")
def square(x: Value) -> Value:
    """`x²`."""
    return F.mul(x, x)


@translates("log1p")
def log1p(x: Value) -> Value:
    """`log(1 + x)`."""
    return F.log(x + 1.0)


@translates("expm1")
def expm1(x: Value) -> Value:
    """`exp(x) - 1`."""
    return F.exp(x) - 1.0


@translates("softplus")
def softplus(x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """`log(1 + exp(beta x)) / beta`, without overflow."""
    scaled = x * float(beta)
    return (F.relu(scaled) + F.log(F.exp(-F.abs(scaled)) + 1.0)) * (1.0 / beta)


@translates("log_sigmoid")
def log_sigmoid(x: Value) -> Value:
    """`log σ(x)`."""
    return -softplus(-x)


@translates("leaky_relu")
def leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    """The positive part, and the negative part scaled."""
    return F.leaky_relu(x, negative_slope)


@translates("_prelu_kernel")
def prelu(x: Value, slope: Value) -> Value:
    """The negative part scaled by a weight."""
    return F.where(constant(x) > 0, x, x * slope)


@translates("silu")
def silu(x: Value) -> Value:
    """`x σ(x)`."""
    return x * F.sigmoid(x)


@translates("elu")
def elu(x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    """`alpha (exp(x) - 1)` where x is negative."""
    negative = F.exp(F.minimum(x, constant(x).new_zeros(())) * input_scale) - 1.0
    return F.where(constant(x) > 0, x * float(scale), negative * (alpha * scale))


@translates("gelu")
def gelu(x: Value, approximate: str = "none") -> Value:
    """Exact, or by tanh (https://arxiv.org/abs/1606.08415, section 2)."""
    if approximate == "none":
        return F.gelu(x)
    return x * (F.tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1.0) * 0.5


@translates("clamp.default", "clamp_min.default", "hardtanh")
def clamp(x: Value, min: float | None = None, max: float | None = None) -> Value:
    """Limited to bounds."""
    return F.clip(x, -math.inf if min is None else min, math.inf if max is None else max)


@translates("clamp_max.default")
def clamp_max(x: Value, max: float) -> Value:
    """Limited from above."""
    return F.clip(x, -math.inf, max)


@translates("masked_fill")
def masked_fill(x: Value, mask: torch.Tensor, value: Any) -> Value:
    """Another value where the mask holds."""
    return F.where(mask, value, x)


@translates("copy")
def copy(x: Value, source: Any, non_blocking: bool = False) -> Value:
    """`source`, in the shape and dtype of `x`."""
    return F.broadcast_to(F.cast(source, x.dtype), x.shape)


@translates("_to_copy")
def to_copy(x: Value, *, dtype: torch.dtype | None = None, device: Any = None, **options: Any) -> Any:
    """Another dtype; there is no derivative of a move between devices."""
    if device is not None and torch.device(device) != x.device:
        raise NotImplementedError(
            f"model.engine=scratch: moving from {x.device} to {device} within a step has no derivative in the engine"
        )
    if dtype is not None and not dtype.is_floating_point:
        return constant(x).to(dtype)
    return F.cast(x, dtype or x.dtype)
