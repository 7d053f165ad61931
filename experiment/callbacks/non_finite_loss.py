"""A loss that is no number ends the run at that step: what follows it would be noise, and cost hours."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from experiment.failures import RunFailed


class StopOnNonFiniteLoss(Callback):
    """Ends a run whose loss is NaN or infinite, before a checkpoint of it is written.

    Args:
        every_n_steps: how often to look; on a GPU every look waits for it, so look less often there.
    """

    def __init__(self, *, every_n_steps: int) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps={every_n_steps} is not a number of steps; take 1 or more")
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % self.every_n_steps != 0 and batch_idx + 1 != trainer.num_training_batches:
            return
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and not torch.isfinite(loss):
            raise RunFailed(
                f"the loss is {float(loss)} at step {trainer.global_step} (epoch {trainer.current_epoch},"
                f" batch {batch_idx}); lower optim.lr, set trainer.gradient_clip_val=1, or look for bad values in data"
            )
