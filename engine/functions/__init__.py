"""Every function of the engine under one name: `from engine import functions as F`."""

from engine.functions.activations import erf, gelu, leaky_relu, relu, sigmoid, tanh
from engine.functions.convolution import conv, conv2d, deconv, deconv2d
from engine.functions.elementwise import (
    add,
    cast,
    copy,
    cos,
    div,
    exp,
    log,
    mul,
    neg,
    pow,  # noqa: A004 - numpy's and torch's names
    sin,
    sqrt,
    sub,
    where,
)
from engine.functions.losses import (
    accuracy,
    binary_cross_entropy,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from engine.functions.lstm import lstm
from engine.functions.normalization import batch_norm, dropout, layer_norm
from engine.functions.pooling import average_pooling, pooling
from engine.functions.products import linear, linear_by_rows, matmul
from engine.functions.recurrent import gru_cell, lstm_cell, rnn_cell
from engine.functions.reductions import (
    Axis,
    average,
    log_softmax,
    max,  # noqa: A004
    mean,
    min,  # noqa: A004
    softmax,
    sum,  # noqa: A004
)
from engine.functions.selection import abs, clip, maximum, minimum  # noqa: A004
from engine.functions.shapes import (
    broadcast_to,
    concatenate,
    embed_id,
    expand_dims,
    flatten,
    get_item,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    sum_to,
    transpose,
)
from engine.functions.windows import col2im, im2col

__all__ = [
    "Axis",
    "abs",
    "accuracy",
    "add",
    "average",
    "average_pooling",
    "batch_norm",
    "binary_cross_entropy",
    "broadcast_to",
    "cast",
    "clip",
    "col2im",
    "concatenate",
    "conv",
    "conv2d",
    "copy",
    "cos",
    "deconv",
    "deconv2d",
    "div",
    "dropout",
    "embed_id",
    "erf",
    "exp",
    "expand_dims",
    "flatten",
    "gelu",
    "get_item",
    "gru_cell",
    "im2col",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_by_rows",
    "log",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_squared_error",
    "min",
    "minimum",
    "mul",
    "neg",
    "pad",
    "pooling",
    "pow",
    "relu",
    "reshape",
    "rnn_cell",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sin",
    "softmax",
    "softmax_cross_entropy",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "sum_to",
    "tanh",
    "transpose",
    "where",
]
