"""Ends a trial that its sweep gives up, on all processes at once."""

import math

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from experiment import pruning
from experiment.failures import RunFailed, RunPruned


class PruneOnRequest(Callback):
    """Tells the sweep the objective after every validation, and ends the run if it says so.

    Args:
        objective: the metric's name.
    """

    def __init__(self, objective: str) -> None:
        self._objective = objective

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.state.fn is not TrainerFn.FITTING:
            return
        if self._objective not in trainer.callback_metrics:
            there = ", ".join(sorted(trainer.callback_metrics))
            raise RunFailed(f"objective={self._objective} was not logged by the validation; choose one of {there}")
        value = float(trainer.callback_metrics[self._objective])
        # An epoch that was told of before the run was interrupted: its number, from 1.
        epoch = trainer.current_epoch + 1
        is_pruned = False
        if pruning.ask_sweep is not None and trainer.is_global_zero and not math.isnan(value):
            is_pruned = pruning.ask_sweep(epoch, value)
        # A process that went on alone would wait for the others for ever.
        if trainer.strategy.broadcast(is_pruned):
            raise RunPruned(f"pruned after epoch {epoch}: {self._objective}={value:.4g}", value=value)
