"""A memory that can hold on.

In a plain recurrent network every step multiplies what is remembered, so it fades. An LSTM has a state that is only
added to, and gates that say what to let in, what to forget and what to show. The task: the first of many signs, asked
for at the end, with noise between.
"""

from __future__ import annotations

import torch

from engine import Value, no_grad
from engine import functions as F
from engine.layers import LSTM, RNN, Linear
from engine.models import Model
from engine.optimizers import Adam


class Recaller(Model):
    """Reads a sequence, answers at its end."""

    def __init__(self, memory: LSTM | RNN) -> None:
        self.memory = memory
        self.readout = Linear(2)

    def forward(self, sequence: torch.Tensor) -> Value:
        self.memory.reset_state()
        for x in sequence:
            hidden = self.memory(x)
        y: Value = self.readout(hidden)
        return y


def signs(generator: torch.Generator, *, length: int = 20, batch: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences (L, B, 1) of noise that begin with +1 or -1, and which it was."""
    first = torch.randint(2, (batch,), generator=generator)
    noise = 0.3 * torch.randn(length, batch, 1, generator=generator)
    noise[0, :, 0] = 2.0 * first - 1.0
    return noise, first


def train(memory: LSTM | RNN, steps: int = 60) -> float:
    """Return the share of right answers on new sequences."""
    generator = torch.Generator().manual_seed(0)
    model = Recaller(memory)
    optimizer = Adam(0.02).setup(model)
    for _ in range(steps):
        sequence, first = signs(generator)
        loss = F.softmax_cross_entropy(model(sequence), first)
        model.cleargrads()
        loss.backward()
        optimizer.update()
    sequence, first = signs(generator, batch=200)
    with no_grad():
        return F.accuracy(model(sequence), first).item()


def main() -> None:
    torch.manual_seed(0)
    print(f"LSTM: right after 20 steps of noise in {train(LSTM(16, in_size=1)):.0%} of the cases")


def test_it_remembers_the_first_sign() -> None:
    torch.manual_seed(0)
    assert train(LSTM(16, in_size=1)) > 0.95
