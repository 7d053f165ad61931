"""A whole sequence through an LSTM as one node: one product for the inputs of all steps, one pass back through time."""

# ruff: noqa: N803, N806 - a weight is W, as in the papers and in DeZero

from __future__ import annotations

from typing import Any, cast

import torch

from engine.config import config
from engine.function import Function
from engine.functions.elementwise import promoted
from engine.functions.products import linear_by_rows, matmul, swap_last
from engine.functions.recurrent import LSTMCell, lstm_cell
from engine.functions.reductions import sum as sum_over
from engine.functions.shapes import get_item, reshape, stack
from engine.variable import Array, Value, Variable


class LSTM(Function):
    """Hidden vectors of all steps and the last state (Gers et al. 2000, section 3; gates as in `LSTMCell`).

    On plain arrays it works in place. `backward_by_steps` is the same mathematics, a function for each operation: what
    `create_graph` records.
    """

    def forward(self, x: Array, W_x: Array, W_h: Array, b: Array, hidden: Array, state: Array) -> tuple[Array, Array]:
        num_steps, batch_size, size = len(x), *hidden.shape
        # tanh(a) = 2 σ(2a) - 1: with the candidate's part doubled, one sigmoid in place does for all four gates.
        candidate = slice(2 * size, 3 * size)
        W = W_h.t().clone(memory_format=torch.contiguous_format)
        W[:, candidate] *= 2.0
        self.gates = b.addmm(x.flatten(0, 1), W_x.t()).view(num_steps, batch_size, 4 * size)
        self.gates[:, :, candidate] *= 2.0
        self.hiddens = torch.cat([hidden[None], x.new_empty(num_steps, batch_size, size)])
        self.states = torch.cat([state[None], x.new_empty(num_steps, batch_size, size)])
        self.bounded = x.new_empty(num_steps, batch_size, size)  # tanh of the states
        steps = zip(self.gates, self.states[1:], self.bounded, self.hiddens[1:], strict=True)
        for gates, next_state, bounded, next_hidden in steps:
            i, f, g, o = gates.addmm_(hidden, W).sigmoid_().chunk(4, 1)
            g.mul_(2.0).sub_(1.0)
            state = torch.mul(f, state, out=next_state).addcmul_(i, g)
            hidden = torch.mul(o, torch.tanh(state, out=bounded), out=next_hidden)
        return self.hiddens[1:], self.states[-1]

    def backward(
        self,
        gys: tuple[Value, Value],
        x: Value,
        W_x: Value,
        W_h: Value,
        b: Value,
        hidden: Value,
        state: Value,
        y0: Value,
        y1: Value,
    ) -> tuple[Value | None, ...]:
        inputs = x, W_x, W_h, b, hidden, state
        if any(isinstance(value, Variable) for value in (*gys, *inputs)):
            return backward_by_steps(gys, *inputs)
        return self.backward_in_place(*cast("Any", (gys, inputs, y0, y1)))

    def backward_in_place(
        self, gys: tuple[Array, Array], inputs: tuple[Array, ...], y: Array, last_state: Array
    ) -> tuple[Array | None, ...]:
        """The gradients, on arrays; the outputs are there to be guarded against changes."""
        gy, gstate = gys[0], gys[1].clone()
        x, W_x, W_h, *_ = inputs
        num_steps, batch_size, size = gy.shape
        i, f, g, o = self.gates.chunk(4, 2)
        # For all steps at once: what each gate's gradient is a multiple of.
        ggates = gy.new_empty(num_steps, batch_size, 4, size)
        torch.mul(g * i, 1.0 - i, out=ggates[:, :, 0])
        torch.mul(self.states[:-1] * f, 1.0 - f, out=ggates[:, :, 1])
        torch.mul(i, 1.0 - g * g, out=ggates[:, :, 2])
        torch.mul(self.bounded * o, 1.0 - o, out=ggates[:, :, 3])
        into_state = o - o * self.bounded * self.bounded
        # Step by step, backwards: the gradients of state and hidden vector, which they are multiplied with.
        rows = ggates.flatten(2)
        earlier = torch.cat([torch.zeros_like(gy[:1]), gy[:-1]])  # the hidden vectors' own gradients, a step before
        steps = zip(ggates[:, :, :3], ggates[:, :, 3], rows, into_state, f, earlier, strict=True)
        ghidden = gy[-1]
        for gstate_gates, goutput_gate, row, slope, forget, own in reversed(list(steps)):
            gstate.addcmul_(ghidden, slope)
            gstate_gates.mul_(gstate[:, None])
            goutput_gate.mul_(ghidden)
            gstate.mul_(forget)
            ghidden = own.addmm(row, W_h)
        rows = rows.flatten(0, 1)
        gx = (rows @ W_x).view(x.shape) if self.wants(0) else None
        gW_x, gW_h = rows.t() @ x.flatten(0, 1), rows.t() @ self.hiddens[:-1].flatten(0, 1)
        return gx, gW_x, gW_h, rows.sum(0), ghidden, gstate

    def free(self) -> None:
        super().free()
        self.gates = self.hiddens = self.states = self.bounded = torch.empty(0)


class VendorLSTM(LSTM):
    """The same by oneDNN's kernel, for float32 on a CPU."""

    def forward(self, x: Array, W_x: Array, W_h: Array, b: Array, hidden: Array, state: Array) -> tuple[Array, Array]:
        # A second bias, no batch sizes, kind 2 (LSTM), one layer with biases, one direction, time first, training.
        y, self.last_hidden, last_state, self.workspace = torch.ops.aten.mkldnn_rnn_layer.default(
            x, W_x, W_h, b, torch.zeros_like(b), hidden, state, False, [], 2, W_h.shape[1], 1, True, False, False, True
        )
        return y, last_state

    def backward_in_place(
        self, gys: tuple[Array, Array], inputs: tuple[Array, ...], y: Array, last_state: Array
    ) -> tuple[Array | None, ...]:
        x, W_x, W_h, b, hidden, state = inputs
        outputs = y, self.last_hidden, last_state
        gradients = gys[0], torch.zeros_like(hidden), gys[1]
        settings: tuple[Any, ...] = False, 2, W_h.shape[1], 1, True, True, False, [], False
        gx, gW_x, gW_h, gb, _, ghidden, gstate = torch.ops.aten.mkldnn_rnn_layer_backward.default(
            x, W_x, W_h, b, torch.zeros_like(b), hidden, state, *outputs, *gradients, *settings, self.workspace
        )
        return gx, gW_x, gW_h, gb, ghidden, gstate

    def free(self) -> None:
        Function.free(self)
        self.workspace = torch.empty(0)


def backward_by_steps(
    gys: tuple[Value, Value], x: Value, W_x: Value, W_h: Value, b: Value, hidden: Value, state: Value
) -> tuple[Value, ...]:
    """The gradients of the inputs, cell by cell."""
    gy, gstate = gys
    hiddens, states, gates = [hidden], [state], []
    for t in range(x.shape[0]):
        gates.append(linear_by_rows(get_item(x, t), W_x, b) + matmul(hiddens[-1], swap_last(W_h)))
        hidden, state = lstm_cell(gates[-1], states[-1])
        hiddens.append(hidden)
        states.append(state)
    ghidden: Value = torch.zeros(hidden.shape, dtype=hidden.dtype, device=hidden.device)
    ggates: list[Value] = []
    for t in reversed(range(x.shape[0])):
        gradients = ghidden + get_item(gy, t), gstate
        ggate, gstate = LSTMCell().backward(gradients, gates[t], states[t], states[t + 1])
        ghidden = matmul(ggate, W_h)
        ggates.insert(0, ggate)
    rows = reshape(stack(ggates), (-1, W_h.shape[0]))
    columns = swap_last(rows)
    gx = reshape(matmul(rows, W_x), x.shape)
    gW_x = matmul(columns, reshape(x, (-1, x.shape[2])))
    gW_h = matmul(columns, reshape(stack(hiddens[:-1]), (-1, W_h.shape[1])))
    return gx, gW_x, gW_h, sum_over(rows, 0), ghidden, gstate


def lstm(x: Value, W_x: Value, W_h: Value, b: Value, hidden: Value, state: Value) -> tuple[Value, Value]:
    """Hidden vectors (T, N, H) and last state (N, H) for a sequence (T, N, D), from a hidden vector and a state (N, H).

    The weights have a row for each gate: (4H, D), (4H, H) and (4H,), in torch's order (input, forget, candidate,
    output).
    """
    x, W_x, W_h, b, hidden, state = promoted(x, W_x, W_h, b, hidden, state)
    is_vendors = config.kernels == "vendor" and x.device.type == "cpu" and x.dtype == torch.float32
    function = VendorLSTM() if is_vendors else LSTM()
    return cast("tuple[Value, Value]", function.apply(x, W_x, W_h, b, hidden, state))
