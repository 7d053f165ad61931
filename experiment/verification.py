"""Proof that an experiment can be interrupted: trained in one piece, and in two, it comes out the same bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiment.failures import Refused, RunFailed
from experiment.run_directory import RunDirectory, find_run

_TRAIN = Path(__file__).resolve().parent.parent / "train.py"
_NUM_BATCHES = 5
# A few batches of everything, with the defaults of the experiment; what the user adds comes after.
_SHORT = (
    "logger=none",
    "callbacks.progress_bar=null",
    "callbacks.checkpoints.every_n_steps=2",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    f"trainer.limit_train_batches={_NUM_BATCHES}",
    "trainer.limit_val_batches=2",
    "trainer.limit_test_batches=2",
)


class Interruption(NamedTuple):
    """Where a run is broken off, and how."""

    name: str
    signal: signal.Signals
    batch: int


INTERRUPTIONS = (
    Interruption("SIGTERM within an epoch", signal.SIGTERM, 2),
    Interruption("SIGTERM at an epoch's end", signal.SIGTERM, _NUM_BATCHES - 1),
    Interruption("kill -9 within an epoch", signal.SIGKILL, _NUM_BATCHES + 3),
)


class Proof(NamedTuple):
    """What came of one interruption: nothing that differs is what is wanted."""

    name: str
    differences: list[str]
    seconds: float


def verify(experiment: str, overrides: Sequence[str]) -> Iterator[Proof]:
    """Train an experiment whole, and once for every interruption broken off and resumed.

    Args:
        overrides: more words for train.py, `trainer=ddp_cpu` for one.

    Raises:
        Refused: train.py refuses the experiment, or it is over too soon to be interrupted.
        RunFailed: a run failed by itself.
    """
    with tempfile.TemporaryDirectory(prefix="firsthand-verify-") as folder:
        words = [f"experiment={experiment}", *_SHORT, *overrides]
        whole = _train(words, Path(folder) / "whole", expected=0)
        for number, interruption in enumerate(INTERRUPTIONS):
            started = time.monotonic()
            outputs = Path(folder) / str(number)
            broken = _train([*words, _rehearsal(interruption)], outputs, expected=_exit_code(interruption.signal))
            _train([f"resume={broken.path}"], outputs, expected=0)
            yield Proof(interruption.name, differences(broken, whole), time.monotonic() - started)
            shutil.rmtree(outputs)


def _rehearsal(interruption: Interruption) -> str:
    return (
        "+callbacks.rehearsal={_target_: experiment.callbacks.rehearsal.RehearsedInterruption,"
        f" run_dir: '${{paths.run_dir}}', batch: {interruption.batch}, signal_name: {interruption.signal.name}}}"
    )


def _exit_code(number: signal.Signals) -> int:
    return -number if number is signal.SIGKILL else 128 + number


def _train(words: Sequence[str], outputs: Path, *, expected: int) -> RunDirectory:
    # Data that is made on the spot is the same for every run.
    generated = Path(os.environ.get("FIRSTHAND_OUTPUTS", "outputs")).absolute() / "generated"
    done = subprocess.run(
        [sys.executable, str(_TRAIN), *words],
        env={"FIRSTHAND_GENERATED": str(generated), **os.environ, "FIRSTHAND_OUTPUTS": str(outputs)},
        capture_output=True,
        text=True,
        check=False,
    )
    if expected != 0 and done.returncode == 0:
        raise Refused(
            f"train.py {' '.join(words)} was over before it could be interrupted; give an epoch at least"
            f" {_NUM_BATCHES} batches, with a smaller data.batch_size for one"
        )
    if done.returncode != expected:
        kind = Refused if done.returncode == 2 else RunFailed
        raise kind(f"train.py {' '.join(words)} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return find_run("last", outputs)


def differences(found: RunDirectory, expected: RunDirectory) -> list[str]:
    """Where the end of a run is not that of another: steps, weights, optimiser, schedulers, metrics, bit for bit."""
    from experiment.checkpoints import load_checkpoint

    ours, theirs = (load_checkpoint(run.checkpoints / "last.ckpt", map_location="cpu") for run in (found, expected))
    kinds = ("global_step", "state_dict", "optimizer_states", "lr_schedulers")
    places = [place for kind in kinds for place in _unequal(ours[kind], theirs[kind], kind)]
    rows, expected_rows = found.metric_rows(), expected.metric_rows()
    if len(rows) != len(expected_rows):
        places.append(f"metrics: {len(rows)} rows instead of {len(expected_rows)}")
    pairs = zip(rows, expected_rows, strict=False)
    return places + [f"metrics: {row} instead of {other}" for row, other in pairs if row != other]


def _unequal(found: Any, expected: Any, place: str) -> Iterator[str]:
    """Places in nested plain data where tensors or values differ."""
    import torch

    if isinstance(expected, torch.Tensor):
        if not torch.equal(found, expected):
            yield f"{place}: largest difference {(found.double() - expected.double()).abs().max():.3g}"
    elif isinstance(expected, dict):
        for key, value in expected.items():
            yield from _unequal(found[key], value, f"{place}.{key}")
    elif isinstance(expected, list | tuple):
        for index, value in enumerate(expected):
            yield from _unequal(found[index], value, f"{place}.{index}")
    elif found != expected:
        yield f"{place}: {found} instead of {expected}"
