"""A forger and a judge: a generative adversarial network (https://arxiv.org/abs/1406.2661, algorithm 1).

    python -m engine.examples.gan --picture samples.png

The judge learns to tell genuine digits from invented ones; the forger learns from the judge's gradient, by the second
of the paper's losses (maximise log D(G(z))). How close the forgeries are is measured without the judge: the Fréchet
distance of two normal distributions with their means and covariances (https://arxiv.org/abs/1706.08500, equation 6,
on pixels here).

Expected: from 10.6 to 0.7 after 150 epochs (the training digits: 0.3); half a minute of one core.
"""

from __future__ import annotations

import argparse

import torch
from torchvision.utils import save_image

from engine import Array, Value, Variable, as_array, no_grad
from engine import functions as F
from engine.datasets import Digits
from engine.layers import Linear
from engine.loaders import DataLoader
from engine.models import Model
from engine.optimizers import Adam

CODE_SIZE = 16


class Forger(Model):
    """Pixels from noise."""

    def __init__(self) -> None:
        self.layers = [Linear(128, in_size=CODE_SIZE), Linear(128), Linear(64)]

    def forward(self, noise: Value) -> Value:
        x = F.leaky_relu(self.layers[0](noise))
        return F.sigmoid(self.layers[2](F.leaky_relu(self.layers[1](x))))


class Judge(Model):
    """Log-odds that an image is genuine."""

    def __init__(self) -> None:
        self.layers = [Linear(128, in_size=64), Linear(128), Linear(1)]

    def forward(self, x: Value) -> Value:
        for layer in self.layers[:-1]:
            x = F.dropout(F.leaky_relu(layer(x)), 0.3)
        verdict: Value = self.layers[-1](x)
        return verdict


def frechet_distance(x: Array, y: Array) -> float:
    """Squared Fréchet distance of the normal distributions that fit two sets of rows."""
    x, y = x.double(), y.double()
    cov_x, cov_y = x.T.cov(), y.T.cov()
    values, vectors = torch.linalg.eigh(cov_x)
    root = vectors * values.clamp(min=0.0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ cov_y @ root).clamp(min=0.0).sqrt().sum()
    between = (x.mean(0) - y.mean(0)).square().sum()
    distance: float = (between + cov_x.trace() + cov_y.trace() - 2.0 * shared).item()
    return distance


def invent(forger: Forger, *, count: int, seed: int) -> Array:
    """Images as rows of pixels."""
    with no_grad():
        return as_array(forger(torch.randn(count, CODE_SIZE, generator=torch.Generator().manual_seed(seed))))


def train(*, epochs: int = 150, batch_size: int = 64, lr: float = 0.001, seed: int = 0) -> tuple[Forger, float, float]:
    """Return the forger, and its distance from held-out digits before and after."""
    torch.manual_seed(seed)
    forger, judge = Forger(), Judge()
    forging, judging = Adam(lr, beta1=0.5).setup(forger), Adam(lr, beta1=0.5).setup(judge)
    genuine = Digits(train=False).data.flatten(1)
    before = frechet_distance(invent(forger, count=1000, seed=seed), genuine)
    loader = DataLoader(Digits(), batch_size, seed=seed)
    for _ in range(epochs):
        for image, _ in loader:
            ones, zeros = torch.ones(len(image), 1), torch.zeros(len(image), 1)
            invented = forger(Variable(torch.randn(len(image), CODE_SIZE)))

            loss = F.sigmoid_cross_entropy(judge(image.flatten(1)), ones)
            loss = loss + F.sigmoid_cross_entropy(judge(as_array(invented)), zeros)
            judge.cleargrads()
            loss.backward()
            judging.update()

            loss = F.sigmoid_cross_entropy(judge(invented), ones)
            forger.cleargrads()
            loss.backward()
            forging.update()
    return forger, before, frechet_distance(invent(forger, count=1000, seed=seed), genuine)


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description="a GAN on digits, on the engine alone")
    parser.add_argument("--picture", help="a file for 64 invented digits")
    options = parser.parse_args()
    forger, before, after = train()
    known = frechet_distance(Digits().data.flatten(1), Digits(train=False).data.flatten(1))
    print(f"distance from held-out digits: {before:.2f} before, {after:.2f} after; of the training digits {known:.2f}")
    if options.picture:
        pixels = invent(forger, count=64, seed=1).reshape(64, 1, 8, 8)
        save_image(pixels.repeat_interleave(4, 2).repeat_interleave(4, 3), options.picture)


if __name__ == "__main__":
    main()
