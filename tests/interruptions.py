"""Builds of a run's parts in which something happens at one place of training; they take the place of `_build`."""

import signal
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from experiment import training
from experiment.start import RunRequest

Build = Callable[[RunRequest], Any]


def build_with(callback: pl.Callback) -> Build:
    """The build as it is now, with one more callback."""
    build = training._build

    def build_with_callback(request: RunRequest) -> Any:
        parts = build(request)
        parts.trainer.callbacks.append(callback)  # type: ignore[attr-defined]
        return parts

    return build_with_callback


def build_interrupted_at(step: int) -> Build:
    """A Ctrl-C in the middle of an optimisation step, counted over epochs."""

    class Interrupt(pl.Callback):
        has_come = False

        def on_before_optimizer_step(self, trainer: pl.Trainer, *args: Any) -> None:
            # Once also where several optimisers take the step.
            if trainer.global_step == step and not self.has_come:
                self.has_come = True
                signal.raise_signal(signal.SIGINT)

    return build_with(Interrupt())


def build_with_action_at(batch: int, action: Callable[[], None], *, rank: int = 0) -> Build:
    """Something that happens within a training batch of one process, counted from 0 over epochs."""

    class AtBatch(pl.Callback):
        def on_before_backward(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.fit_loop.total_batch_idx == batch and trainer.global_rank == rank:
                action()

    return build_with(AtBatch())
