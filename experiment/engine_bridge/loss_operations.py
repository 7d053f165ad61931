"""Losses, and attention: what torch has as one operation and a formula has in a few."""

# ruff: noqa: FBT001, FBT002 - names, order and defaults of parameters are torch's

import math
from typing import Any

import torch

from engine import Value
from engine import functions as F
from engine.functions.elementwise import constant
from engine.functions.products import swap_last
from experiment.engine_bridge.operation_table import translates
from experiment.engine_bridge.shape_operations import pick

# As torch numbers them.
_NONE, _MEAN = 0, 1


def _reduced(losses: Value, reduction: int) -> Value:
    if reduction == _NONE:
        return losses
    return F.mean(losses) if reduction == _MEAN else F.sum(losses)


@translates("mse_loss")
def mse_loss(x: Value, target: Value, reduction: int = _MEAN) -> Value:
    """Squared differences."""
    difference = x - target
    return _reduced(difference * difference, reduction)


@translates("l1_loss")
def l1_loss(x: Value, target: Value, reduction: int = _MEAN) -> Value:
    """Absolute differences."""
    return _reduced(F.abs(x - target), reduction)


@translates("smooth_l1_loss")
def smooth_l1_loss(x: Value, target: Value, reduction: int = _MEAN, beta: float = 1.0) -> Value:
    """Squared near zero, linear beyond `beta` (https://arxiv.org/abs/1504.08083, equation 3)."""
    return huber_loss(x, target, reduction, beta) * (1.0 / beta) if beta else l1_loss(x, target, reduction)


@translates("huber_loss")
def huber_loss(x: Value, target: Value, reduction: int = _MEAN, delta: float = 1.0) -> Value:
    """The same, times delta."""
    distance = F.abs(x - target)
    quadratic = distance * distance * 0.5
    return _reduced(F.where(constant(distance) < delta, quadratic, (distance - 0.5 * delta) * delta), reduction)


@translates("binary_cross_entropy")
def binary_cross_entropy(p: Value, target: Value, weight: torch.Tensor | None = None, reduction: int = _MEAN) -> Value:
    """Of probabilities; logarithms are limited to -100, as torch limits them."""
    losses = -(F.clip(F.log(p), -100.0, math.inf) * target + F.clip(F.log(1.0 - p), -100.0, math.inf) * (1.0 - target))
    return _reduced(losses if weight is None else losses * weight, reduction)


@translates("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    x: Value,
    target: Value,
    weight: torch.Tensor | None = None,
    pos_weight: torch.Tensor | None = None,
    reduction: int = _MEAN,
) -> Value:
    """Of logits."""
    # log(1 + exp(-x)), without overflow
    softplus = F.relu(-x) + F.log(F.exp(-F.abs(x)) + 1.0)
    positive_weight = 1.0 if pos_weight is None else (pos_weight - 1.0) * target + 1.0
    losses = (1.0 - target) * x + softplus * positive_weight
    return _reduced(losses if weight is None else losses * weight, reduction)


@translates("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(
    log_probability: Value, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignore_index: int
) -> tuple[Value, torch.Tensor]:
    """Minus the log probability of the target, and what a mean is divided by; classes are the second axis."""
    class_axis = 0 if log_probability.ndim == 1 else 1
    is_counted = target != ignore_index
    label = torch.where(is_counted, target, 0)
    chosen = pick(torch.gather, log_probability, class_axis, label.unsqueeze(class_axis))
    counts = is_counted.to(constant(chosen).dtype)
    if weight is not None:
        counts = counts * weight[label]
    losses = F.where(is_counted, -F.reshape(chosen, target.shape), 0.0) * counts
    total = counts.sum()
    if reduction == _NONE:
        return losses, total
    return (F.sum(losses) / total if reduction == _MEAN else F.sum(losses)), total


@translates("scaled_dot_product_attention")
def attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Softmax of the scaled products of queries and keys, times the values (https://arxiv.org/abs/1706.03762)."""
    if enable_gqa:
        raise NotImplementedError("model.engine=scratch: the engine's attention has no shared keys (enable_gqa)")
    scores = F.matmul(query, swap_last(key)) * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        is_choice = constant(attn_mask).dtype == torch.bool
        scores = F.where(attn_mask, scores, -math.inf) if is_choice else scores + attn_mask
    weights = F.softmax(scores, -1)
    if dropout_p > 0.0:
        kept = torch.empty_like(constant(weights)).bernoulli_(1.0 - dropout_p)
        weights = weights * (kept / (1.0 - dropout_p))
    return F.matmul(weights, value)
