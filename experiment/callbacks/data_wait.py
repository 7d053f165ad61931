"""How much of training's time goes by waiting for data, logged as `time/data_wait`."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from experiment.ledger import Ledger

NAME = "time/data_wait"


class DataWait(Callback):
    """The share of an epoch's steps that waits for the next batch, of the first process; not of validation or saving.

    It goes to the trackers after every epoch, and of the whole training into the run's record. The ledger has what is
    the same whenever a run is repeated, which no time is.
    """

    def __init__(self) -> None:
        self._started_s = 0.0
        self._waited_s = self._took_s = 0.0
        self._waited_before_s = self._took_before_s = 0.0

    @property
    def share(self) -> float | None:
        """Of all steps since the start of this process; None before the first."""
        return self._waited_s / self._took_s if self._took_s > 0 else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Between the end of a step and the wait for a batch there is no hook for callbacks, only this for a profiler.
        loop: Any = trainer.fit_loop.epoch_loop
        before, after = loop._on_before_fetch, loop._on_after_fetch

        def start() -> None:
            before()
            self._started_s = time.perf_counter()

        def stop() -> None:
            self._waited_s += time.perf_counter() - self._started_s
            after()

        loop._on_before_fetch, loop._on_after_fetch = start, stop

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loop: Any = trainer.fit_loop.epoch_loop
        # Back to the class's.
        del loop._on_before_fetch, loop._on_after_fetch

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._took_s += time.perf_counter() - self._started_s

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        waited_s, took_s = self._waited_s - self._waited_before_s, self._took_s - self._took_before_s
        self._waited_before_s, self._took_before_s = self._waited_s, self._took_s
        if took_s > 0:
            # Where Lightning logs an epoch's metrics.
            step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
            for logger in trainer.loggers:
                if not isinstance(logger, Ledger):
                    logger.log_metrics({NAME: waited_s / took_s}, step)


def data_wait(trainer: Trainer) -> dict[str, float]:
    """`time/data_wait` of what this process has trained; nothing if that is nothing."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by one of Lightning's connectors
    share = next((callback.share for callback in callbacks if isinstance(callback, DataWait)), None)
    return {} if share is None else {NAME: share}
