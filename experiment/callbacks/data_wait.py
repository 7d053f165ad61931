"""How much of training's time goes by waiting for data, logged as `time/data_wait`."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from datamodules.unreadable import SkippingLoader
from experiment.ledger import Ledger

NAME = "time/data_wait"


class DataWait(Callback):
    """The share of an epoch's steps that waits for the next batch, of the first process; not of validation or saving.

    It goes to the trackers after every epoch, and of the whole training into the run's record, `data_wait`. The ledger
    has what is the same whenever a run is repeated, which no time is. Loaders of other makes do not say how long they
    take.
    """

    def __init__(self) -> None:
        self._began_s = 0.0
        self._known_s = 0.0
        self._epoch_stepped_s = 0.0
        self._waited_s = self._stepped_s = 0.0

    @property
    def share(self) -> float | None:
        """Of all epochs since the start of this process; None before the first has ended."""
        total_s = self._waited_s + self._stepped_s
        return self._waited_s / total_s if total_s > 0 else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Every fit has a loader of its own.
        self._known_s = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._began_s = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._epoch_stepped_s += time.perf_counter() - self._began_s

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        stepped_s, self._epoch_stepped_s = self._epoch_stepped_s, 0.0
        loader = trainer.train_dataloader
        if not isinstance(loader, SkippingLoader) or stepped_s == 0:
            return
        waited_s, self._known_s = loader.waited_s - self._known_s, loader.waited_s
        self._waited_s += waited_s
        self._stepped_s += stepped_s
        # Where Lightning logs an epoch's metrics.
        step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
        for logger in trainer.loggers:
            if not isinstance(logger, Ledger):
                logger.log_metrics({NAME: waited_s / (waited_s + stepped_s)}, step)


def data_wait(trainer: Trainer) -> float | None:
    """The share of what this process has trained; None if that is nothing."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of Lightning's connectors
    return next((callback.share for callback in callbacks if isinstance(callback, DataWait)), None)
