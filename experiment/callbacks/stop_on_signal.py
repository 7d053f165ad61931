"""Ctrl-C and SIGTERM end a run after the step it is in, with its state saved; a second Ctrl-C ends it at once."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from experiment.failures import EXIT_CTRL_C, EXIT_SIGTERM, RunInterrupted

EXIT_CODES = {signal.SIGINT: EXIT_CTRL_C, signal.SIGTERM: EXIT_SIGTERM}


class StopOnSignal(Callback):
    """Saves `last.ckpt` at the end of the step in which a signal came, and ends the run.

    Args:
        checkpoint: the file to save to.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._received: signal.Signals | None = None
        self._is_saved = False
        self._handlers_before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for number in EXIT_CODES:
            self._handlers_before[number] = signal.signal(number, self._note)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning would not validate an epoch that is resumed at its end: validate first, and end at the next step.
        if batch_idx + 1 == trainer.num_training_batches:
            return
        if self._is_asked_to_stop(trainer):
            trainer.save_checkpoint(self._checkpoint)
            self._is_saved = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        # Not at the end of the step before: what that step logged reaches the loggers after its last hook.
        if self._is_saved:
            raise self._interruption(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore_handlers()
        if self._is_asked_to_stop(trainer):
            # The last epoch's end has its checkpoint already.
            raise self._interruption(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore_handlers()

    def _is_asked_to_stop(self, trainer: Trainer) -> bool:
        is_asked = self._received is not None
        # One process may hear of it a step before another; they stop together.
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(is_asked, all=False):
            self._received = self._received or signal.SIGTERM
        return self._received is not None

    def _interruption(self, trainer: Trainer) -> RunInterrupted:
        number = self._received
        assert number is not None
        message = f"{number.name} at step {trainer.global_step}: state saved; continue with resume=last"
        return RunInterrupted(message, exit_code=EXIT_CODES[number])

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = signal.Signals(number)

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._handlers_before.clear()
