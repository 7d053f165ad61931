"""What a training step costs on the project's own engine, against torch's: the same network, the same batch.

Sizes are those of DeZero's examples: a perceptron of 784-1000-10 and batches of 100, two convolutions on 28 pixels and
batches of 32, an LSTM of 100 over 30 steps and batches of 30, a chain of 1,000 additions of numbers. The engine is
measured by itself (its own layers and optimiser) and under the bridge (torch's modules, `model.engine=scratch`).

    python -m benchmarks.engine
"""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import torch
from torch import Tensor, nn
from torch.nn import functional as torch_functions

from benchmarks.measuring import Figure, compare
from engine import Parameter, Value, Variable, using_config
from engine import functions as F
from engine.layers import Conv2d, Layer, Linear
from engine.optimizers import SGD
from engine.process_memory import prepare_process
from experiment.engine_bridge.recording import from_scratch
from experiment.engine_bridge.training_steps import in_torchs_graph

ROUNDS = 15
STEPS = 10
LEARNING_RATE = 1e-4
CHAIN_LENGTH = 1000


class TorchRecurrent(nn.Module):
    """An LSTM read out at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 100, batch_first=True)
        self.head = nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = self.head(self.lstm(x)[0])
        return value


class Perceptron(Layer):
    """The engine's perceptron."""

    def __init__(self) -> None:
        self.inner, self.outer = Linear(1000, in_size=784), Linear(10, in_size=1000)

    def forward(self, x: Value) -> Value:
        scores: Value = self.outer(F.sigmoid(self.inner(x)))
        return scores


class Convolutions(Layer):
    """The engine's network of convolutions."""

    def __init__(self) -> None:
        self.first, self.second = Conv2d(16, 3, pad=1, in_channels=1), Conv2d(32, 3, pad=1, in_channels=16)
        self.head = Linear(10, in_size=32 * 7 * 7)

    def forward(self, x: Value) -> Value:
        for layer in (self.first, self.second):
            x = F.pooling(F.relu(layer(x)), 2, 2)
        scores: Value = self.head(F.flatten(x))
        return scores


class Recurrent(Layer):
    """The engine's LSTM, over a whole sequence."""

    def __init__(self) -> None:
        self.W_x, self.W_h, self.b = (Parameter(0.1 * torch.randn(400, *shape)) for shape in ((1,), (100,), ()))
        self.head = Linear(1, in_size=100)

    def forward(self, x: Value) -> Value:
        start = torch.zeros(x.shape[0], 100)
        hiddens, _ = F.lstm(F.transpose(x, (1, 0, 2)), self.W_x, self.W_h, self.b, start, start)
        value: Value = F.transpose(self.head(hiddens), (1, 0, 2))
        return value


def images() -> nn.Module:
    """Torch's network of convolutions."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def by_torch(network: nn.Module, x: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """A step of torch: forward, backward and update."""
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        loss = loss_of(network(x))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def by_bridge(network: nn.Module, x: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """A step of torch's modules on the engine."""
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        with from_scratch() as recording:
            loss = loss_of(network(x))
        optimizer.zero_grad()
        torch.autograd.backward(in_torchs_graph(recording, loss))
        optimizer.step()

    return step


def by_engine(network: Layer, x: Tensor, loss_of: Callable[[Value], Value]) -> Callable[[], None]:
    """A step of the engine alone."""
    optimizer = SGD(LEARNING_RATE).setup(network)

    def step() -> None:
        loss = loss_of(network(x))
        network.cleargrads()
        Variable.backward(loss)  # type: ignore[arg-type]
        optimizer.update()

    return step


def seconds_per_step(step: Callable[[], None], *, kernels: str = "scratch") -> float:
    """The mean of some steps after two that are not counted."""
    started = 0.0
    with using_config("kernels", kernels):
        for number in range(STEPS + 2):
            if number == 2:
                started = time.perf_counter()
            step()
    return (time.perf_counter() - started) / STEPS


def compare_steps(
    torchs: nn.Module, ours: Layer, x: Tensor, losses: tuple[Callable[[Tensor], Tensor], Callable[[Value], Value]]
) -> list[Figure]:
    """All ways to compute a network's step."""
    theirs, own = losses
    alone, bridge = by_engine(ours, x, own), by_bridge(torchs, x, theirs)
    return compare(
        {
            "torch": partial(seconds_per_step, by_torch(torchs, x, theirs)),
            "engine, own kernels": partial(seconds_per_step, alone),
            "engine, torch's kernels": partial(seconds_per_step, alone, kernels="vendor"),
            "bridge, own kernels": partial(seconds_per_step, bridge),
            "bridge, torch's kernels": partial(seconds_per_step, bridge, kernels="vendor"),
        },
        rounds=ROUNDS,
    )


def chain(x: Tensor | Variable) -> None:
    """Additions of numbers and the pass back through them: what a function costs apart from its arithmetic."""
    y = x
    for _ in range(CHAIN_LENGTH):
        y = y + x
    y.backward()
    x.grad = None


def deep(x: Tensor | Variable) -> None:
    """A hundred layers over a million numbers; a hundred arrays are needed for the derivatives."""
    y = x
    for _ in range(100):
        y = F.tanh(y * 1.01 + 0.1) if isinstance(y, Variable) else torch.tanh(y * 1.01 + 0.1)
    y.sum().backward()


def peak_bytes(engine: str) -> float:
    """By how much `deep` raises the memory of a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_bytes, engine).result()


def _peak_bytes(engine: str) -> float:
    torch.set_num_threads(1)
    numbers = torch.randn(1_000_000)
    x = numbers.requires_grad_() if engine == "torch" else Variable(numbers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    deep(x)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024.0


def measure(*, num_threads: int = 1) -> dict[str, list[Figure]]:
    """Seconds a step, by network; the chain's last."""
    prepare_process()
    torch.set_num_threads(num_threads)
    torch.manual_seed(0)
    labels, target = torch.randint(10, (100,)), torch.randn(30, 30, 1)

    def cross_entropies(size: int) -> tuple[Callable[[Tensor], Tensor], Callable[[Value], Value]]:
        label = labels[:size]
        return partial(torch_functions.cross_entropy, target=label), partial(F.softmax_cross_entropy, t=label)

    squares = (
        lambda value: torch_functions.mse_loss(value, target),
        lambda value: F.mean((value - target) * (value - target)),
    )
    perceptron = nn.Sequential(nn.Linear(784, 1000), nn.Sigmoid(), nn.Linear(1000, 10))
    number, variable = torch.tensor(1.0, requires_grad=True), Variable(1.0)
    return {
        "a step of training, perceptron": compare_steps(
            perceptron, Perceptron(), torch.randn(100, 784), cross_entropies(100)
        ),
        "a step of training, convolutions": compare_steps(
            images(), Convolutions(), torch.randn(32, 1, 28, 28), cross_entropies(32)
        ),
        "a step of training, LSTM": compare_steps(TorchRecurrent(), Recurrent(), torch.randn(30, 30, 1), squares),
        "a chain of 1,000 additions and its pass": compare(
            {
                "torch": partial(seconds_per_step, partial(chain, number)),
                "engine": partial(seconds_per_step, partial(chain, variable)),
            },
            rounds=ROUNDS,
        ),
    }


def main() -> None:
    """Print all figures, and what a deep chain takes in memory."""
    for num_threads in (1, 2):
        for what, figures in measure(num_threads=num_threads).items():
            print(f"{what}, threads: {num_threads}")
            for figure in figures:
                print(f"  {figure['variant']:24} {figure['median_s'] * 1e3:8.2f} ms  {figure['ratio']:.2f}")
    theirs, ours = (sorted(peak_bytes(engine) for _ in range(5)) for engine in ("torch", "engine"))
    print("memory of 100 layers over a million numbers, five processes each")
    print(f"  torch  {[round(size / 1e6) for size in theirs]} MB\n  engine {[round(size / 1e6) for size in ours]} MB")


if __name__ == "__main__":
    main()
