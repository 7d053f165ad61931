"""Faults put into a run, each at one place of it."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytorch_lightning as pl
import torch

from experiment import checkpoint_writing, training
from tests.interruptions import build_with, build_with_action_at

Fault = Callable[[], None]


def at_batch(batch: int, fault: Fault, *, rank: int = 0) -> None:
    """Let something happen within a training batch, counted from 0 over all epochs."""
    training._build = build_with_action_at(batch, fault, rank=rank)


def at_validation(fault: Fault) -> None:
    """Let something happen in the first validation."""

    class AtValidation(pl.Callback):
        def on_validation_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
            fault()

    training._build = build_with(AtValidation())


def kill() -> None:
    """What no process can prepare for."""
    os.kill(os.getpid(), signal.SIGKILL)


def sending(number: signal.Signals) -> Fault:
    """A signal to this process."""
    return lambda: signal.raise_signal(number)


def crash() -> None:
    """A mistake in a model."""
    raise RuntimeError("a mistake in the model")


def kill_while_saving(number: int, point: str) -> None:
    """Be killed in the nth save: when its file is `open`, `half` written, `before` it is renamed, or `after`."""
    save, replacing = checkpoint_writing.torch.save, checkpoint_writing.replacing
    saves = iter(range(1000))

    def save_and_die(state: Any, stream: Any) -> None:
        if next(saves) != number:
            save(state, stream)
            return
        if point == "half":
            stream.write(b"x" * (sum(value.nbytes for value in checkpoint_writing._tensors_of(state)) // 2))
        elif point == "before":
            save(state, stream)
        stream.flush()
        kill()

    @contextmanager
    def replacing_and_die(file: Path) -> Iterator[BinaryIO]:
        with replacing(file) as stream:
            yield stream
        if next(saves) == number:
            kill()

    if point == "after":
        checkpoint_writing.replacing = replacing_and_die
    else:
        checkpoint_writing.torch.save = save_and_die  # type: ignore[assignment]


def limit_file_size(num_bytes: int) -> None:
    """No file of this process may grow beyond that, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def exhaust_memory() -> None:
    """Ask for more memory than this process may have."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - no path of ours
        pages = int(statm.read().split()[0])
    limit = pages * resource.getpagesize() + 200_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    torch.empty(10**9).fill_(1.0)
