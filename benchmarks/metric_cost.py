"""What validation costs of an epoch at shipped settings, and what of that is scoring: mAP, FID and KID, OKS.

Training is measured over a few steps and multiplied up to the epoch; validation is measured whole.
"""

import io
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from benchmarks.measuring import Figure
from benchmarks.short_runs import compose, train_briefly
from experiment import training
from experiment.quietness import quieten_libraries
from experiment.start import RunRequest

NUM_STEPS = 12
# Fewer samples to train with are made on the spot; the shipped number is read from the configuration.
EXPERIMENTS: dict[str, tuple[str, list[str]]] = {
    "ssd_voc_shapes": ("data.shapes.num_train", ["data.shapes.num_train=200"]),
    "dcgan_digits": ("", []),
    "openpose_stick_figures": ("data.num_train", ["data.num_train=200"]),
}


class Stopwatch(pl.Callback):
    """Processor seconds of training steps and of validation, and of validation those in the network."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation_s = self.network_s = 0.0
        self._is_validation = False
        self._began_s = self._entered_s = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network: Any = pl_module.network
        network.register_forward_pre_hook(self._enter)
        network.register_forward_hook(self._leave)

    def on_train_batch_start(self, *args: Any) -> None:
        self._began_s = time.process_time()

    def on_train_batch_end(self, *args: Any) -> None:
        self.steps.append(time.process_time() - self._began_s)

    def on_validation_start(self, *args: Any) -> None:
        self._is_validation, self._began_s = True, time.process_time()

    def on_validation_end(self, *args: Any) -> None:
        self._is_validation = False
        self.validation_s += time.process_time() - self._began_s

    def _enter(self, *args: Any) -> None:
        self._entered_s = time.process_time()

    def _leave(self, *args: Any) -> None:
        if self._is_validation:
            self.network_s += time.process_time() - self._entered_s


def cost(experiment: str, outputs: Path) -> list[Figure]:
    """Of one epoch, training included: all, validation, and validation without the network."""
    num_train, fewer = EXPERIMENTS[experiment]
    stopwatch = Stopwatch()
    build = training._build

    def build_with_stopwatch(request: RunRequest) -> training.Parts:
        parts = build(request)
        parts.trainer.callbacks.append(stopwatch)  # type: ignore[attr-defined]  # set by one of Lightning's connectors
        parts_of_run.append(parts)
        return parts

    parts_of_run: list[training.Parts] = []
    training._build = build_with_stopwatch
    try:
        train_briefly(experiment, *fewer, num_steps=NUM_STEPS, outputs=outputs)
    finally:
        training._build = build
    if num_train:
        shipped = compose(f"experiment={experiment}")
        num_batches = OmegaConf.select(shipped, num_train) // shipped.data.batch_size
    else:
        num_batches = len(parts_of_run[0].data.train_dataloader())
    # The first steps meet cold caches.
    steps = sorted(stopwatch.steps[2:])
    epoch_s = num_batches * steps[len(steps) // 2] + stopwatch.validation_s
    scoring_s = stopwatch.validation_s - stopwatch.network_s
    return [
        Figure(variant=variant, median_s=seconds, ratio=seconds / epoch_s)
        for variant, seconds in (
            ("epoch", epoch_s),
            ("validation", stopwatch.validation_s),
            ("validation without the network", scoring_s),
        )
    ]


def measure() -> dict[str, list[Figure]]:
    """On one thread."""
    quieten_libraries()
    torch.set_num_threads(1)
    figures = {}
    nowhere = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for experiment in EXPERIMENTS:
            figures[f"an epoch of {experiment}"] = cost(experiment, Path(folder))
    return figures


if __name__ == "__main__":
    for what, variants in measure().items():
        print(what, *variants, sep="\n  ")
