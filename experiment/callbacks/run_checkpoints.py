"""When a run's state is saved: between two steps, when all that the last one logged is written.

Lightning's ModelCheckpoint saves in the middle of a step's or epoch's end instead: a run that goes on from there has
not logged that epoch, or skips the validation due after that step. It also knows its files by absolute paths, so that
a run whose directory was moved forgets its best score.
"""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loops.progress import _Progress
from pytorch_lightning.utilities import rank_zero_warn
from torch import distributed

from experiment.callbacks.stop_signals import EXIT_CODES, StopSignals
from experiment.checkpoint_writing import AtomicCheckpointIO
from experiment.checkpoints import checkpoint_name, point
from experiment.failures import RunFailed, RunInterrupted
from experiment.ledger import Ledger


class RunCheckpoints(Callback):
    """Saves the state at ends of epochs, every so often, when it is the best so far, and when a signal ends the run.

    Kept are the last, the one before it, and the best.

    Args:
        run_dir: the run's directory; checkpoints go into its folder `checkpoints`.
        monitor: the metric that tells which is best, read after every validation; None keeps no best.
        mode: whether its `max` or its `min` is better.
        keep_best: how many of the best are kept.
        every_n_epochs, every_n_steps, every_n_minutes: how often the state is saved at least; None is off. Steps are
            the optimiser's.

    Raises:
        ValueError: a number is not positive.
    """

    def __init__(
        self,
        *,
        run_dir: str,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "max",
        keep_best: int = 1,
        every_n_epochs: int | None = None,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
    ) -> None:
        for name, number in (
            ("keep_best", keep_best),
            ("every_n_epochs", every_n_epochs),
            ("every_n_steps", every_n_steps),
            ("every_n_minutes", every_n_minutes),
        ):
            if number is not None and number <= 0:
                raise ValueError(f"callbacks.checkpoints.{name}={number} must be positive; null switches it off")
        self.folder = Path(run_dir) / "checkpoints"
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.keep_best = keep_best
        self.every_n_epochs = every_n_epochs
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.signals = StopSignals()
        # Names and scores, the best first.
        self._best: list[tuple[str, float]] = []
        self._place: Literal["epoch", "batch"] = "epoch"
        self._next_log_step = 0
        # The limit of epochs before which a run has ended by itself, by early stopping for one.
        self._stopped_before_epoch: int | None = None
        self._last: str | None = None
        self._saved_at_step = 0
        self._saved_at_s = time.monotonic()
        self._validated_at_batch = -1
        self._control_group: Any = None

    @property
    def best_score(self) -> float | None:
        """The best value of the monitored metric so far."""
        return self._best[0][1] if self._best else None

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self._best,
            "place": self._place,
            "next_log_step": self._next_log_step,
            "stopped_before_epoch": self._stopped_before_epoch,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best = [(str(name), float(score)) for name, score in state_dict["best"]]
        self._place = state_dict["place"]
        self._next_log_step = state_dict["next_log_step"]
        self._stopped_before_epoch = state_dict["stopped_before_epoch"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.signals.listen()
        self._saved_at_step, self._saved_at_s = trainer.global_step, time.monotonic()
        if trainer.world_size > 1:
            # Not the group that exchanges gradients: on GPUs every question to that one would wait for the device.
            self._control_group = distributed.new_group(backend="gloo")
        self._take_up(trainer)
        # Lightning forgets that; a run that is made longer does go on.
        trainer.should_stop = (
            self._stopped_before_epoch is not None and self._stopped_before_epoch == trainer.max_epochs
        )
        self._stopped_before_epoch = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated_at_batch = trainer.fit_loop.total_batch_idx

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == self._saved_at_step:
            # The first epoch, or the one with which a resumed run begins.
            return
        # Counted as ready by now; and a run that goes on from here is not in the middle of the epoch before.
        trainer.fit_loop.epoch_loop.batch_progress.reset_on_run()
        with _as_if_not_begun(trainer.fit_loop.epoch_progress):
            self._between_epochs(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        # The epoch's start has been looked at; and gradients that wait for more are in no checkpoint.
        if batch_idx == 0 or batch_idx % trainer.accumulate_grad_batches != 0:
            return
        epoch_loop = trainer.fit_loop.epoch_loop
        is_validated = self._validated_at_batch == trainer.fit_loop.total_batch_idx - 1
        is_asked = is_validated or self.signals.received is not None or self._is_time(trainer)
        if trainer.world_size == 1 and not is_asked:
            return
        self._next_log_step = _log_step(trainer)
        is_last, epoch_loop.batch_progress.is_last_batch = epoch_loop.batch_progress.is_last_batch, False
        # Lightning counts the step before a validation when it goes on after it, also if it goes on in another process.
        epoch_loop._batches_that_stepped -= int(is_validated)
        try:
            with _as_if_not_begun(epoch_loop.batch_progress):
                self._save_if_due(trainer, place="batch", is_due=False, has_score=is_validated)
        finally:
            epoch_loop._batches_that_stepped += int(is_validated)
            epoch_loop.batch_progress.is_last_batch = is_last

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.signals.ignore()
        if trainer.global_step != self._saved_at_step:
            self._stopped_before_epoch = trainer.max_epochs if trainer.should_stop else None
            self._between_epochs(trainer, is_end=True)
        _writer_of(trainer).wait()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.signals.ignore()
        try:
            _writer_of(trainer).wait()
        except (RunFailed, OSError) as error:
            rank_zero_warn(f"the state that was being saved is lost: {error}")

    def _between_epochs(self, trainer: Trainer, *, is_end: bool = False) -> None:
        is_due = is_end or (self.every_n_epochs is not None and trainer.current_epoch % self.every_n_epochs == 0)
        has_score = self._validated_at_batch == trainer.fit_loop.total_batch_idx or not trainer.enable_validation
        self._next_log_step = _log_step(trainer)
        self._save_if_due(trainer, place="epoch", is_due=is_due, has_score=has_score)

    def _take_up(self, trainer: Trainer) -> None:
        """Go on where a checkpoint, or nothing, was left of this run."""
        if self._place == "epoch":
            # With trainer.max_steps Lightning takes every checkpoint for one from within an epoch.
            trainer.fit_loop.epoch_loop.restarting = False
        for logger in trainer.loggers:
            if isinstance(logger, Ledger):
                logger.go_on_from(self._next_log_step)
        last = self.folder / "last.ckpt"
        self._last = last.resolve().name if last.exists() else None
        if gone := [name for name, _ in self._best if not (self.folder / name).is_file()]:
            rank_zero_warn(f"{', '.join(gone)} among the best checkpoints is gone from {self.folder}")
            self._best = [(name, score) for name, score in self._best if name not in gone]

    def _save_if_due(
        self, trainer: Trainer, *, place: Literal["epoch", "batch"], is_due: bool, has_score: bool
    ) -> None:
        """Save where that is due in one of the processes, and end the run where a signal has asked one of them to.

        Raises:
            RunInterrupted: a signal came; the state is on the disk.
        """
        self._place = place
        score = self._score(trainer) if has_score else None
        is_best = score is not None and (
            len(self._best) < self.keep_best or self.sign * score > self.sign * self._best[-1][1]
        )
        is_due = is_due or is_best or self._is_time(trainer)
        number, is_due = self._agreed(trainer, is_due=is_due)
        if is_due or number:
            self._save(trainer, score, is_best=is_best)
        if number:
            _writer_of(trainer).wait()
            received = signal.Signals(number)
            raise RunInterrupted(
                f"{received.name} at step {trainer.global_step}: state saved; continue with resume=last",
                exit_code=EXIT_CODES[received],
            )

    def _save(self, trainer: Trainer, score: float | None, *, is_best: bool) -> None:
        metric = (self.monitor, score) if self.monitor is not None and score is not None else None
        name = checkpoint_name(epoch=trainer.current_epoch, step=trainer.global_step, metric=metric)
        if is_best:
            assert score is not None
            ranked = sorted([*self._best, (name, score)], key=lambda entry: -self.sign * entry[1])
            self._best = ranked[: self.keep_best]
        trainer.save_checkpoint(self.folder / name)
        kept = {name, *(best for best, _ in self._best), *([self._last] if self._last else [])}
        # The best first: what the last says of it is then true at any moment.
        links = {**({"best.ckpt": self._best[0][0]} if self._best else {}), "last.ckpt": name}
        if trainer.is_global_zero:
            _writer_of(trainer).then(lambda: _publish(self.folder, links, kept))
        self._last = name
        self._saved_at_step, self._saved_at_s = trainer.global_step, time.monotonic()

    def _score(self, trainer: Trainer) -> float | None:
        """The monitored metric of the state as it is; what is not finite is no score."""
        if self.monitor is None:
            return None
        if self.monitor not in trainer.callback_metrics and not trainer.enable_validation:
            return None
        if self.monitor not in trainer.callback_metrics:
            there = ", ".join(sorted(name for name in trainer.callback_metrics if "/" in name))
            raise RunFailed(f"callbacks.checkpoints.monitor={self.monitor} was not logged; choose one of {there}")
        score = float(trainer.callback_metrics[self.monitor])
        return score if math.isfinite(score) else None

    def _is_time(self, trainer: Trainer) -> bool:
        num_steps = trainer.global_step - self._saved_at_step
        num_minutes = (time.monotonic() - self._saved_at_s) / 60
        return (self.every_n_steps is not None and num_steps >= self.every_n_steps) or (
            self.every_n_minutes is not None and num_minutes >= self.every_n_minutes
        )

    def _agreed(self, trainer: Trainer, *, is_due: bool) -> tuple[int, bool]:
        """The signal that any process has received (0: none), and whether saving is due in any of them."""
        number = int(self.signals.received or 0)
        if trainer.world_size == 1:
            return number, is_due
        answers = torch.tensor([number, int(is_due)])
        distributed.all_reduce(answers, op=distributed.ReduceOp.MAX, group=self._control_group)
        return int(answers[0]), bool(answers[1])


def _publish(folder: Path, links: dict[str, str], kept: set[str]) -> None:
    for link, name in links.items():
        point(folder / link, name)
    for file in folder.glob("epoch=*.ckpt"):
        if file.name not in kept:
            file.unlink()


def _log_step(trainer: Trainer) -> int:
    """The step that loggers are given for what comes next."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


def _writer_of(trainer: Trainer) -> AtomicCheckpointIO:
    writer = trainer.strategy.checkpoint_io
    assert isinstance(writer, AtomicCheckpointIO)
    return writer


@contextmanager
def _as_if_not_begun(progress: _Progress) -> Iterator[None]:
    """Lightning has counted the coming batch or epoch as ready before anyone is asked."""
    progress.current.ready -= 1
    progress.total.ready -= 1
    try:
        yield
    finally:
        progress.current.ready += 1
        progress.total.ready += 1
