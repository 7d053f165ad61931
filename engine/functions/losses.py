"""Losses, means over the samples of a batch."""

from __future__ import annotations

from typing import Any

import torch

from engine.function import Function
from engine.functions.activations import sigmoid
from engine.functions.elementwise import constant, log
from engine.functions.reductions import mean, softmax
from engine.functions.selection import clip
from engine.variable import Array, Value, as_array


class SoftmaxCrossEntropy(Function):
    """Cross-entropy of softmax with classes, as one node: it keeps the logits alone."""

    def __init__(self, labels: Array) -> None:
        self.labels = labels

    def forward(self, x: Array) -> Array:
        shifted = x - x.amax(1, keepdim=True)
        log_normaliser = shifted.exp().sum(1).log()
        return (log_normaliser - shifted.gather(1, self.labels[:, None])[:, 0]).mean()

    def backward(self, gy: Value, x: Value) -> Value:
        logits = constant(x)
        one_hot = torch.zeros_like(logits).scatter_(1, self.labels[:, None], 1.0)
        return (softmax(x) - one_hot) * (gy * (1.0 / len(logits)))


class SigmoidCrossEntropy(Function):
    """dx = (σ(x) - t) / number of elements."""

    def __init__(self, targets: Array) -> None:
        self.targets = targets

    def forward(self, x: Array) -> Array:
        return (x.clamp(min=0.0) - x * self.targets + (-x.abs()).exp().log1p()).mean()

    def backward(self, gy: Value, x: Value) -> Value:
        return (sigmoid(x) - self.targets) * (gy * (1.0 / self.targets.numel()))


def softmax_cross_entropy(x: Value, t: Any) -> Value:
    """Mean negative log probability of the classes `t` under softmax of the rows of `x`."""
    labels = as_array(t)
    if tuple(labels.shape) != (x.shape[0],):
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(x.shape)}: one a row"
        )
    return SoftmaxCrossEntropy(labels.long())(x)


def mean_squared_error(x0: Value, x1: Value) -> Value:
    """Sum of squared differences over the number of samples, that is over the length of the first axis (as DeZero)."""
    difference = x0 - x1
    return (difference * difference).sum() * (1.0 / difference.shape[0])


def sigmoid_cross_entropy(x: Value, t: Any) -> Value:
    """Binary cross-entropy of sigmoid(x) with targets in [0, 1], mean over the elements; safe for large |x|."""
    return SigmoidCrossEntropy(constant(t).to(constant(x).dtype).reshape(x.shape))(x)


def binary_cross_entropy(p: Value, t: Any) -> Value:
    """Binary cross-entropy of probabilities with targets in [0, 1], mean over the elements."""
    targets = constant(t).to(constant(p).dtype).reshape(p.shape)
    p = clip(p, 1e-15, 1.0 - 1e-7)
    return -mean(log(p) * targets + log(1.0 - p) * (1.0 - targets))


def accuracy(y: Value, t: Any) -> Array:
    """Share of rows whose largest element is at the label; a number outside the graph."""
    return (constant(y).argmax(1) == as_array(t).flatten()).float().mean()
