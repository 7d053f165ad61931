"""Read handwritten digits: a CNN on MNIST with nothing but the engine.

    python -m engine.examples.mnist_cnn --data <folder with mnist/>

Expected: test accuracy 0.986 after 2 epochs, 90 seconds of one core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from engine import functions as F
from engine.config import KERNELS, no_grad, test_mode, using_config
from engine.datasets import MNIST
from engine.examples.data_folder import data_folder
from engine.loaders import DataLoader
from engine.models import CNN
from engine.optimizers import Adam


def accuracy(model: CNN, data: MNIST) -> float:
    """Share of right answers."""
    with no_grad(), test_mode():
        right = [F.accuracy(model(x), t) * len(t) for x, t in DataLoader(data, 500, shuffle=False)]
    return torch.stack(right).sum().item() / len(data)


def train(folder: Path, *, epochs: int = 2, batch_size: int = 100, lr: float = 0.003, seed: int = 0) -> float:
    """Train with a learning rate that falls to zero, print a line for each epoch, and return the test accuracy."""
    torch.manual_seed(seed)
    data, test = MNIST(folder, train=True), MNIST(folder, train=False)
    loader = DataLoader(data, batch_size, seed=seed)
    model = CNN(10, channels=(16, 32))
    optimizer = Adam(lr).setup(model)
    started, step = time.process_time(), 0
    for epoch in range(epochs):
        total = 0.0
        for image, label in loader:
            optimizer.lr = lr * (1.0 - step / (epochs * len(loader)))
            step += 1
            loss = F.softmax_cross_entropy(model(image), label)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += loss.item()
        scored, seconds = accuracy(model, test), time.process_time() - started
        print(f"epoch {epoch}: loss {total / len(loader):.4f}, test accuracy {scored:.4f}, {seconds:.0f} s of CPU")
    return scored


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description="a CNN on MNIST, on the engine alone")
    parser.add_argument("--data", help="a folder with mnist/ in it; FIRSTHAND_DATA by default")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--kernels", choices=KERNELS, default="scratch")
    options = parser.parse_args()
    with using_config("kernels", options.kernels):
        train(data_folder(options.data) / "mnist", epochs=options.epochs)


if __name__ == "__main__":
    main()
