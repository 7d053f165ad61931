"""LSTM, GRU and simple recurrent networks over sequences; all but the LSTM step by step with the engine's cells."""

# ruff: noqa: FBT001, N806 - names, order and defaults of parameters are torch's

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from engine import Value
from engine import functions as F
from engine.functions.elementwise import constant
from experiment.engine_bridge.operation_table import translates

# From the input's part of the gates, the hidden vector's weights, and the state, to the next state.
_Cell = Callable[[Value, Value, Value | None, tuple[Value, ...]], tuple[Value, ...]]
# From inputs, weights and a state to the outputs of all steps and the last state.
_Run = Callable[[Value, Sequence[Value], tuple[Value, ...]], tuple[Value, tuple[Value, ...]]]


def _lstm_step(x_gates: Value, weight: Value, bias: Value | None, state: tuple[Value, ...]) -> tuple[Value, ...]:
    return F.lstm_cell(x_gates + F.linear(state[0], weight, bias), state[1])


def _gru_step(x_gates: Value, weight: Value, bias: Value | None, state: tuple[Value, ...]) -> tuple[Value, ...]:
    return (F.gru_cell(x_gates, F.linear(state[0], weight, bias), state[0]),)


def _tanh_step(x_gates: Value, weight: Value, bias: Value | None, state: tuple[Value, ...]) -> tuple[Value, ...]:
    return (F.tanh(x_gates + F.linear(state[0], weight, bias)),)


def _relu_step(x_gates: Value, weight: Value, bias: Value | None, state: tuple[Value, ...]) -> tuple[Value, ...]:
    return (F.relu(x_gates + F.linear(state[0], weight, bias)),)


def _recurrent(
    run: _Run,
    x: Value,
    start: tuple[Value, ...],
    parameters: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, ...]:
    """The outputs of the last layer at every step, and each layer's last state."""
    if len(x.shape) != 3:
        raise NotImplementedError("model.engine=scratch: the engine has no packed sequences; pad them instead")
    if batch_first:
        x = F.transpose(x, (1, 0, 2))
    num_directions = 2 if bidirectional else 1
    per_direction = 4 if has_biases else 2
    if len(parameters) != num_layers * num_directions * per_direction:
        raise NotImplementedError("model.engine=scratch: the engine's LSTM has no projection (proj_size)")
    lasts: list[tuple[Value, ...]] = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(num_directions):
            number = layer * num_directions + direction
            weights = parameters[number * per_direction : (number + 1) * per_direction]
            state = tuple(F.get_item(part, number) for part in start)
            y, state = run(_in_time(x, direction), weights, state)
            outputs.append(_in_time(y, direction))
            lasts.append(state)
        x = outputs[0] if num_directions == 1 else F.concatenate(outputs, 2)
        if train and dropout > 0.0 and layer < num_layers - 1:
            x = x * (torch.empty_like(constant(x)).bernoulli_(1.0 - dropout) / (1.0 - dropout))
    y = F.transpose(x, (1, 0, 2)) if batch_first else x
    return (y, *(F.stack(parts) for parts in zip(*lasts, strict=True)))


def _in_time(x: Value, direction: int) -> Value:
    """The steps in the order of a direction: 0 forwards, 1 backwards."""
    return F.get_item(x, torch.arange(x.shape[0] - 1, -1, -1, device=x.device)) if direction else x


def _lstm_run(x: Value, weights: Sequence[Value], state: tuple[Value, ...]) -> tuple[Value, tuple[Value, ...]]:
    W_x, W_h, *biases = weights
    b = biases[0] + biases[1] if biases else constant(W_x).new_zeros(W_x.shape[0])
    y, last = F.lstm(x, W_x, W_h, b, *state)
    return y, (F.get_item(y, -1), last)


def _by_steps(
    step: _Cell, x: Value, weights: Sequence[Value], state: tuple[Value, ...]
) -> tuple[Value, tuple[Value, ...]]:
    W_x, W_h = F.transpose(weights[0]), F.transpose(weights[1])
    b_x, b_h = (weights[2], weights[3]) if len(weights) == 4 else (None, None)
    hiddens: list[Value] = []
    # The input's part of all steps in one product.
    for gate in F.split(F.linear(x, W_x, b_x), [1] * x.shape[0]):
        state = step(F.reshape(gate, gate.shape[1:]), W_h, b_h, state)
        hiddens.append(state[0])
    return F.stack(hiddens), state


@translates("lstm.input")
def lstm(x: Value, hx: Sequence[Value], params: Sequence[Value], *settings: Any) -> tuple[Value, ...]:
    """`torch.nn.LSTM`."""
    return _recurrent(_lstm_run, x, (hx[0], hx[1]), params, *settings)


@translates("gru.input")
def gru(x: Value, hx: Value, params: Sequence[Value], *settings: Any) -> tuple[Value, ...]:
    """`torch.nn.GRU`."""
    return _recurrent(partial(_by_steps, _gru_step), x, (hx,), params, *settings)


@translates("rnn_tanh.input")
def rnn_tanh(x: Value, hx: Value, params: Sequence[Value], *settings: Any) -> tuple[Value, ...]:
    """`torch.nn.RNN` with tanh."""
    return _recurrent(partial(_by_steps, _tanh_step), x, (hx,), params, *settings)


@translates("rnn_relu.input")
def rnn_relu(x: Value, hx: Value, params: Sequence[Value], *settings: Any) -> tuple[Value, ...]:
    """`torch.nn.RNN` with ReLU."""
    return _recurrent(partial(_by_steps, _relu_step), x, (hx,), params, *settings)


@translates("lstm_cell")
def lstm_cell(
    x: Value,
    hx: Sequence[Value],
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, ...]:
    """`torch.nn.LSTMCell`."""
    return _lstm_step(F.linear(x, F.transpose(w_ih), b_ih), F.transpose(w_hh), b_hh, (hx[0], hx[1]))


@translates("gru_cell")
def gru_cell(
    x: Value, hx: Value, w_ih: Value, w_hh: Value, b_ih: Value | None = None, b_hh: Value | None = None
) -> Value:
    """`torch.nn.GRUCell`."""
    return _gru_step(F.linear(x, F.transpose(w_ih), b_ih), F.transpose(w_hh), b_hh, (hx,))[0]
