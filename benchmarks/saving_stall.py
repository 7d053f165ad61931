"""How long training stands still for a checkpoint: written in place, or from a copy by a thread."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torchvision.models import vgg16

from benchmarks.measuring import Figure, compare
from experiment.checkpoint_writing import AtomicCheckpointIO
from lightning_modules.vgg.network import VGG

ROUNDS = 9


def _state(network: torch.nn.Module, num_copies: int) -> dict[str, Any]:
    """Weights, and as many more for the optimiser."""
    weights = network.state_dict()
    moments = [{name: value.clone() for name, value in weights.items()} for _ in range(num_copies)]
    return {"state_dict": weights, "optimizer_states": moments}


def _in_place(state: dict[str, Any], folder: Path) -> float:
    """Seconds of a save that is waited for."""
    writer = AtomicCheckpointIO()
    started = time.perf_counter()
    writer.save_checkpoint(state, folder / "last.ckpt")
    writer.wait()
    return time.perf_counter() - started


def _by_a_thread(state: dict[str, Any], folder: Path) -> float:
    """Seconds until training goes on."""
    writer = AtomicCheckpointIO()
    started = time.perf_counter()
    writer.save_checkpoint(state, folder / "last.ckpt")
    seconds = time.perf_counter() - started
    writer.wait()
    return seconds


def measure() -> dict[str, list[Figure]]:
    """Of the default experiment with AdamW (8 MB), and of VGG-16 with SGD and momentum (1.1 GB)."""
    small = VGG(
        depth=11,
        batch_norm=True,
        width=0.25,
        hidden_features=256,
        pooled_size=1,
        num_classes=10,
        in_channels=1,
        dropout=0.5,
    )
    states = {"8 MB": (_state(small, 2), ROUNDS), "1.1 GB": (_state(vgg16(), 1), 3)}
    figures = {}
    for size, (state, rounds) in states.items():
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            variants: dict[str, Callable[[], float]] = {
                "written in place": partial(_in_place, state, Path(folder)),
                "copied, written by a thread": partial(_by_a_thread, state, Path(folder)),
            }
            figures[f"stall of training by a checkpoint of {size}"] = compare(variants, rounds=rounds)
    return figures
