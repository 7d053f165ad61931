"""A run that is interrupted on purpose, once, to see that it goes on as if it had not been."""

import os
import signal
from pathlib import Path
from typing import Literal

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor


class RehearsedInterruption(Callback):
    """Sends its own process a signal in the middle of a batch; not again when the run is resumed.

    Args:
        run_dir: the run's directory, in which it notes that it was done.
        batch: the batch in which it happens, counted from 0 over all epochs.
        signal_name: which signal.
    """

    def __init__(
        self, *, run_dir: str, batch: int, signal_name: Literal["SIGINT", "SIGTERM", "SIGUSR1", "SIGKILL"]
    ) -> None:
        self._note = Path(run_dir) / "interrupted-on-purpose"
        self._batch = batch
        self._signal = signal.Signals[signal_name]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        is_here = trainer.is_global_zero and trainer.fit_loop.total_batch_idx == self._batch
        if is_here and not self._note.exists():
            self._note.touch()
            os.kill(os.getpid(), self._signal)
