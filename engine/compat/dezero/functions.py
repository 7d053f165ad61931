"""DeZero's functions: the engine's, on numpy arrays and with DeZero's order of arguments."""

# ruff: noqa: A001, D103, FBT001, FBT002, N803 - DeZero's names and signatures

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import functions as F
from engine.compat.dezero.variable import Variable, as_variable
from engine.functions.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from engine.functions.elementwise import Cos, Exp, Log, Sin
from engine.functions.reductions import Softmax
from engine.functions.shapes import Reshape, Transpose
from engine.variable import as_array

CLASSES = (Cos, Exp, LeakyReLU, Log, ReLU, Reshape, Sigmoid, Sin, Softmax, Tanh, Transpose)  # layers without weights


def _for_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take numpy arrays and numbers where the engine takes values, and always return a Variable."""

    @functools.wraps(function)
    def offered(x: Any, *inputs: Any, **options: Any) -> Any:
        converted = [as_variable(y) if isinstance(y, (np.ndarray, np.generic)) else y for y in inputs]
        return function(as_variable(x), *converted, **options)

    return offered


add = _for_numpy(F.add)
sub = _for_numpy(F.sub)
mul = _for_numpy(F.mul)
div = _for_numpy(F.div)
neg = _for_numpy(F.neg)
pow = _for_numpy(F.pow)
sin = _for_numpy(F.sin)
cos = _for_numpy(F.cos)
tanh = _for_numpy(F.tanh)
exp = _for_numpy(F.exp)
log = _for_numpy(F.log)
clip = _for_numpy(F.clip)
reshape = _for_numpy(F.reshape)
transpose = _for_numpy(F.transpose)
expand_dims = _for_numpy(F.expand_dims)
flatten = _for_numpy(F.flatten)
sum_to = _for_numpy(F.sum_to)
broadcast_to = _for_numpy(F.broadcast_to)
matmul = _for_numpy(F.matmul)
linear = linear_simple = _for_numpy(F.linear)
sigmoid = sigmoid_simple = _for_numpy(F.sigmoid)
relu = _for_numpy(F.relu)
leaky_relu = _for_numpy(F.leaky_relu)
softmax = softmax_simple = _for_numpy(F.softmax)
log_softmax = _for_numpy(F.log_softmax)
mean_squared_error = mean_squared_error_simple = _for_numpy(F.mean_squared_error)
softmax_cross_entropy = softmax_cross_entropy_simple = _for_numpy(F.softmax_cross_entropy)
conv2d = conv2d_simple = _for_numpy(F.conv2d)
deconv2d = _for_numpy(F.deconv2d)
pooling = pooling_simple = _for_numpy(F.pooling)
average_pooling = _for_numpy(F.average_pooling)
dropout = _for_numpy(F.dropout)


def get_item(x: Any, slices: Any) -> Any:
    return F.get_item(as_variable(x), slices)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return F.sum(as_variable(x), axis, keepdims=keepdims)


def average(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return F.average(as_variable(x), axis, keepdims=keepdims)


mean = average


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return F.max(as_variable(x), axis, keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return F.min(as_variable(x), axis, keepdims=keepdims)


def embed_id(x: Any, W: Any) -> Any:
    return F.embed_id(as_array(x), as_variable(W))


def im2col(x: Any, kernel_size: Any, stride: Any = 1, pad: Any = 0, to_matrix: bool = True) -> Any:
    return F.im2col(as_variable(x), kernel_size, stride, pad, to_matrix=to_matrix)


def col2im(x: Any, input_shape: Any, kernel_size: Any, stride: Any = 1, pad: Any = 0, to_matrix: bool = True) -> Any:
    return F.col2im(as_variable(x), input_shape, kernel_size, stride, pad, to_matrix=to_matrix)


def batch_norm(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, decay: float = 0.9, eps: float = 2e-5) -> Any:
    """Batch normalisation; the running `mean` and `var` are changed in place."""
    running = as_array(mean), as_array(var)
    return F.batch_norm(as_variable(x), as_variable(gamma), as_variable(beta), *running, decay=decay, eps=eps)


batch_nrom = batch_norm  # as DeZero spells it


def sigmoid_cross_entropy(x: Any, t: Any) -> Any:
    """Summed over the elements of a sample, mean over the samples."""
    x = as_variable(x)
    return F.sigmoid_cross_entropy(x, as_array(t)) * (x.size / len(x))


def binary_cross_entropy(p: Any, t: Any) -> Any:
    """Summed over the elements of a sample, mean over the samples."""
    p = as_variable(p)
    return F.binary_cross_entropy(p, as_array(t)) * (p.size / len(p))


def accuracy(y: Any, t: Any) -> Variable:
    return Variable(F.accuracy(as_variable(y), as_array(t)), requires_grad=False)
