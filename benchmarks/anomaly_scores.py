"""Scores of the same images by AnoGAN's search and by Efficient GAN's encoder, networks of the small configurations."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.measuring import Figure, compare
from lightning_modules.adversarial.verdict import Verdict
from lightning_modules.anogan.search import Search, search
from lightning_modules.dcgan.network import Discriminator, Generator
from lightning_modules.efficient_gan.module import EfficientGAN

ROUNDS = 9
NUM_IMAGES = 8
SIZE: dict[str, Any] = {"in_channels": 1, "image_size": 28, "width": 32}
# As in conf/experiment/anogan_mnist.yaml, without an early end: what an untrained generator finds says nothing.
SEARCH = Search(
    num_steps=120,
    lr=0.1,
    num_starts=2,
    patience=120,
    tolerance=0.0,
    measure="share",
    blur=5,
    discrimination_weight=0.1,
)


def anogan() -> Callable[[Tensor], Verdict]:
    """The search."""
    generator = Generator(latent_dim=32, num_classes=None, **SIZE).eval()
    discriminator = Discriminator(num_classes=None, batch_norm=True, **SIZE).eval()
    return lambda image: search(generator, discriminator, image, latent_dim=32, settings=SEARCH)


def efficient_gan() -> Callable[[Tensor], Verdict]:
    """The encoder; as in conf/experiment/efficient_gan_mnist.yaml."""
    model = EfficientGAN(
        num_classes=10, latent_dim=16, generator_hidden=256, discriminator_hidden=256, normalisation="spectral",
        dropout=0.0, loss="non_saturating", latent_cycle_weight=8.0, image_cycle_weight=0.0, measure="share", blur=5,
        discrimination_weight=0.1, discriminator_rate_factor=1.0, average_decay=0.995, optimizer={}, scheduler=None,
        **SIZE,
    )  # fmt: skip
    return model.eval().judge


def _seconds(judge: Callable[[Tensor], Verdict], image: Tensor) -> float:
    # Of one thread's own work: on a shared machine the clock on the wall mostly measures the others'.
    started = time.process_time()
    with torch.inference_mode():
        judge(image)
    return time.process_time() - started


def measure() -> dict[str, list[Figure]]:
    """Processor seconds on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = torch.rand(NUM_IMAGES, 1, 28, 28) * 2 - 1
    searched, encoded = anogan(), efficient_gan()
    figures = compare(
        {
            "AnoGAN, 2 searches of 120 steps": lambda: _seconds(searched, image),
            "Efficient GAN": lambda: _seconds(encoded, image),
        },
        rounds=ROUNDS,
    )
    torch.set_num_threads(threads)
    return {f"anomaly scores of {NUM_IMAGES} images of 28 pixels, untrained": figures}


if __name__ == "__main__":
    for what, variants in measure().items():
        for figure in variants:
            print(f"{what} | {figure['variant']} | {figure['median_s'] * 1e3:.1f} ms | {1 / figure['ratio']:.0f} x")
