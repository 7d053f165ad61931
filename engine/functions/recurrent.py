"""Cells of recurrent networks: one time step each."""

# ruff: noqa: N803 - a weight is W, as in the papers and in DeZero

from __future__ import annotations

from typing import cast

from engine.function import Function
from engine.functions.activations import sigmoid, tanh
from engine.functions.products import linear
from engine.functions.shapes import concatenate, split
from engine.variable import Array, Value


class LSTMCell(Function):
    """Gates and state of an LSTM as one node (Gers et al. 2000, "Learning to forget", section 3).

    The inputs are the four gates before their activations, side by side (input, forget, candidate, output, as torch
    orders them), and the state; the outputs are the hidden vector and the new state.
    """

    def forward(self, gates: Array, state: Array) -> tuple[Array, Array]:
        i, f, g, o = gates.chunk(4, 1)
        new_state = f.sigmoid() * state + i.sigmoid() * g.tanh()
        return o.sigmoid() * new_state.tanh(), new_state

    def backward(self, gys: tuple[Value, Value], gates: Value, state: Value, y1: Value) -> tuple[Value, Value]:
        gh, gstate = gys
        i, f, g, o = split(gates, [state.shape[1]] * 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        bounded = tanh(y1)
        gstate = gstate + gh * o * (1.0 - bounded * bounded)
        ggates = [
            gstate * g * (i * (1.0 - i)),
            gstate * state * (f * (1.0 - f)),
            gstate * i * (1.0 - g * g),
            gh * bounded * (o * (1.0 - o)),
        ]
        return concatenate(ggates, axis=1), gstate * f


def lstm_cell(gates: Value, state: Value) -> tuple[Value, Value]:
    """The hidden vector and the new state of an LSTM."""
    return cast("tuple[Value, Value]", LSTMCell().apply(gates, state))


def gru_cell(x_gates: Value, h_gates: Value, hidden: Value) -> Value:
    """The new hidden vector of a GRU (https://arxiv.org/abs/1406.1078; the variant of torch.nn.GRU).

    The gates (reset, update, candidate) come in two parts, from the input and from the hidden vector, since the reset
    gate works on the second part of the candidate alone.
    """
    sizes = [hidden.shape[1]] * 3
    x_reset, x_update, x_new = split(x_gates, sizes, axis=1)
    h_reset, h_update, h_new = split(h_gates, sizes, axis=1)
    update = sigmoid(x_update + h_update)
    new = tanh(x_new + sigmoid(x_reset + h_reset) * h_new)
    return new + update * (hidden - new)


def rnn_cell(x: Value, hidden: Value, W_x: Value, W_h: Value, b: Value) -> Value:
    """The new hidden vector of a simple recurrent network (Elman 1990)."""
    return tanh(linear(x, W_x, b) + linear(hidden, W_h))
