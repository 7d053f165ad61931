"""Choosing among classes.

For a choice, the network gives a score for each class; softmax makes them probabilities, and the loss is the surprise
(minus the logarithm) at the right one. The gradient is beautifully simple: probability minus truth. The map shows which
arm of a spiral each point of the plane is given to.
"""

from __future__ import annotations

import torch

from engine import Variable, no_grad
from engine import functions as F
from engine.datasets import Spiral
from engine.models import MLP
from engine.optimizers import Adam


def train(epochs: int = 150) -> MLP:
    torch.manual_seed(0)
    data, model = Spiral(), MLP([24, 24, 3], F.tanh, in_size=2)
    assert data.label is not None
    optimizer = Adam(0.02).setup(model)
    for _ in range(epochs):
        loss = F.softmax_cross_entropy(model(data.data), data.label)
        model.cleargrads()
        loss.backward()
        optimizer.update()
    return model


def accuracy(model: MLP) -> float:
    test = Spiral(train=False)
    with no_grad():
        return F.accuracy(model(test.data), test.label).item()


def main() -> None:
    model = train()
    side = torch.linspace(-1.0, 1.0, 21)
    plane = torch.cartesian_prod(-side, side).flip(1)
    with no_grad():
        arms = model(plane).array.argmax(1).reshape(21, 21)
    print("\n".join("".join(".o#"[arm] * 2 for arm in row) for row in arms.tolist()))
    print(f"right on {accuracy(model):.1%} of new points")


def test_it_learns_the_arms() -> None:
    assert accuracy(train()) > 0.9


def test_the_gradient_is_probability_minus_truth() -> None:
    scores = Variable(torch.tensor([[1.0, 2.0, 0.5]]))
    F.softmax_cross_entropy(scores, torch.tensor([1])).backward()
    assert scores.grad is not None
    assert torch.allclose(scores.grad.array, scores.array.softmax(1) - torch.tensor([[0.0, 1.0, 0.0]]))
