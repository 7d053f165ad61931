"""What a training step costs on the project's own engine, against torch's: the same network, the same batch.

Sizes are those of DeZero's examples: a perceptron of 784-1000-10 and batches of 100, two convolutions on 28 pixels and
batches of 32, an LSTM of 100 over 30 steps and batches of 30.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measuring import Figure, compare
from engine import using_config
from experiment.engine_bridge.recording import from_scratch
from experiment.engine_bridge.training_steps import in_torchs_graph

ROUNDS = 15
STEPS = 10


class Recurrent(nn.Module):
    """An LSTM read out at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 100, batch_first=True)
        self.head = nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = self.head(self.lstm(x)[0])
        return value


def perceptron() -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """A network, its input and its loss."""
    label = torch.randint(10, (100,))
    network = nn.Sequential(nn.Linear(784, 1000), nn.Sigmoid(), nn.Linear(1000, 10))
    return network, torch.randn(100, 784), lambda scores: F.cross_entropy(scores, label)


def convolutions() -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """The same for images."""
    label = torch.randint(10, (32,))
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))
    return network, torch.randn(32, 1, 28, 28), lambda scores: F.cross_entropy(scores, label)


def recurrence() -> tuple[nn.Module, Tensor, Callable[[Tensor], Tensor]]:
    """The same for sequences."""
    target = torch.randn(30, 30, 1)
    return Recurrent(), torch.randn(30, 30, 1), lambda value: F.mse_loss(value, target)


def seconds_per_step(
    network: nn.Module, x: Tensor, loss_of: Callable[[Tensor], Tensor], *, kernels: str | None
) -> float:
    """Forward, backward and update; by torch where no kind of the engine's kernels is named."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    started = 0.0
    for step in range(STEPS + 2):
        if step == 2:
            started = time.perf_counter()
        if kernels is None:
            loss = loss_of(network(x))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
        else:
            with using_config("kernels", kernels):
                with from_scratch() as recording:
                    loss = loss_of(network(x))
                optimizer.zero_grad()
                torch.autograd.backward(in_torchs_graph(recording, loss))
        optimizer.step()
    return (time.perf_counter() - started) / STEPS


def measure() -> dict[str, list[Figure]]:
    """Seconds a step, by network."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    workloads = {"perceptron": perceptron(), "convolutions": convolutions(), "LSTM": recurrence()}
    return {
        f"a step of training, {name}": compare(
            {
                "torch": partial(seconds_per_step, *workload, kernels=None),
                "engine, own kernels": partial(seconds_per_step, *workload, kernels="scratch"),
                "engine, torch's kernels": partial(seconds_per_step, *workload, kernels="vendor"),
            },
            rounds=ROUNDS,
        )
        for name, workload in workloads.items()
    }
