"""Random numbers of a training step that depend on (seed, epoch, batch, process) and on nothing before it."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.randomness import seed_of

# Apart from each other and from any epoch's number.
_EPOCH, _VALIDATION, _TEST = 2**40, 2**41, 2**42


class StepRandomness(Callback):
    """Seeds every generator before every step, so that a resumed run draws what the whole one would have drawn.

    So it does before an epoch, a validation and a test, for what a model draws there.
    """

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seed(trainer, _EPOCH, trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._seed(trainer, trainer.current_epoch, batch_idx)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seed(trainer, _VALIDATION, trainer.global_step)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seed(trainer, _TEST, 0)

    def _seed(self, trainer: Trainer, *place: int) -> None:
        seed = seed_of(self.seed, *place, trainer.global_rank)
        # torch.manual_seed asks after every kind of device, at 0.1 ms a step.
        torch.default_generator.manual_seed(seed)
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that others may use
