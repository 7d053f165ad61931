"""Random numbers of a training step that depend on (seed, epoch, batch, process) and on nothing before it."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.randomness import seed_of


class StepRandomness(Callback):
    """Seeds every generator before every step, so that a resumed run draws what the whole one would have drawn."""

    def __init__(self, *, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        seed = seed_of(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        # torch.manual_seed asks after every kind of device, at 0.1 ms a step.
        torch.default_generator.manual_seed(seed)
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that others may use
