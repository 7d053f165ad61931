"""The run on the screen: one moving line on a terminal, one line an epoch in a file."""

import sys
import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column


class RunProgressBar(ProgressBar):
    """Progress over the whole run, and the metrics of the last epoch.

    Lightning's own rich bar collects metrics at every step, which costs a 13 ms step about 4 %; this one looks at the
    clock, and at the rest only when it draws.

    Args:
        refresh_interval_s: the shortest time between two drawings.
    """

    def __init__(self, *, refresh_interval_s: float) -> None:
        super().__init__()
        self.refresh_interval_s = refresh_interval_s
        self._is_enabled = True
        self._console = Console(stderr=False)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._next_refresh = 0.0

    def enable(self) -> None:
        self._is_enabled = True

    def disable(self) -> None:
        self._is_enabled = False
        self._stop()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if not self._is_enabled or not self._console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            # Whatever the terminal is too narrow for is cut from the metrics.
            TextColumn("{task.fields[metrics]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=self._console,
            auto_refresh=False,
            expand=True,
        )
        self._task = self._progress.add_task("", total=_total_batches(trainer), metrics="")
        self._progress.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if self._progress is None or (now := time.monotonic()) < self._next_refresh:
            return
        self._next_refresh = now + self.refresh_interval_s
        self._draw(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch > 0:
            self._report_epoch(trainer, number=trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report_epoch(trainer, number=trainer.current_epoch)
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def print(self, *args: Any, **kwargs: Any) -> None:
        if self._is_enabled:
            self._console.print(*args, **kwargs)

    def _report_epoch(self, trainer: Trainer, *, number: int) -> None:
        # Metrics of training are logged after every callback has seen the epoch's end, hence at the next one's start.
        if self._progress is None and self._is_enabled and trainer.callback_metrics:
            print(f"epoch {number}/{trainer.max_epochs}  {_metrics(trainer)}", flush=True)

    def _draw(self, trainer: Trainer) -> None:
        assert self._progress is not None
        self._progress.update(
            self._task,
            completed=trainer.fit_loop.epoch_loop.batch_progress.total.ready,
            description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            metrics=_metrics(trainer),
            refresh=True,
        )

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            sys.stdout.flush()


def _total_batches(trainer: Trainer) -> float | None:
    steps = trainer.estimated_stepping_batches
    return None if steps == float("inf") else steps * trainer.accumulate_grad_batches


def _metrics(trainer: Trainer) -> str:
    """What an epoch is judged by; single steps and learning rates are left to the trackers."""
    names = [name for name in trainer.callback_metrics if "/" in name and not name.endswith("_step")]
    # The validation's first: they say how good the model is.
    names.sort(key=lambda name: (not name.startswith("val/"), name))
    return "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4g}" for name in names)
