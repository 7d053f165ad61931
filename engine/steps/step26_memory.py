"""A network with a memory.

Feed a network its own last thoughts along with the next input, and it can follow a sequence. The graph then grows with
time; `unchain_backward` cuts off the past after some steps, while the memory itself lives on. Here: predicting a wave.
"""

from __future__ import annotations

import torch

from engine import Value
from engine import functions as F
from engine.datasets import SinCurve
from engine.layers import RNN, Linear
from engine.loaders import SeqDataLoader
from engine.models import Model
from engine.optimizers import Adam
from engine.reverse_pass import functions_behind


class Predictor(Model):
    """The next value from all values so far."""

    def __init__(self) -> None:
        self.memory = RNN(16, in_size=1)
        self.readout = Linear(1, in_size=16)

    def forward(self, x: Value) -> Value:
        y: Value = self.readout(self.memory(x))
        return y


def train(epochs: int = 8, length: int = 11) -> tuple[list[float], int]:
    """Return the error of each epoch, and the size of the largest graph."""
    torch.manual_seed(0)
    model = Predictor()
    optimizer = Adam(0.01).setup(model)
    errors, largest = [], 0
    for _ in range(epochs):
        model.memory.reset_state()
        total, loss, steps = 0.0, F.sum(torch.zeros(1)), 0
        for x, t in SeqDataLoader(SinCurve(), 30):
            loss = loss + F.mean_squared_error(model(x), t)
            steps += 1
            if steps % length == 0:
                assert not isinstance(loss, torch.Tensor)
                model.cleargrads()
                loss.backward(retain_graph=True)
                largest = max(largest, sum(1 for _ in functions_behind(loss)))
                loss.unchain_backward()
                optimizer.update()
                total += loss.item()
                loss = F.sum(torch.zeros(1))
        errors.append(total / steps)
    return errors, largest


def main() -> None:
    errors, largest = train()
    for epoch, error in enumerate(errors):
        print(f"epoch {epoch}: error {error:.4f}")
    print("functions in the largest graph:", largest)


def test_it_learns_to_predict() -> None:
    errors, _ = train()
    assert errors[-1] < 0.1 * errors[0]


def test_cutting_bounds_the_graph() -> None:
    assert train(epochs=1, length=3)[1] < train(epochs=1, length=11)[1] / 2
