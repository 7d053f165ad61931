"""What the tracker adds to a training step, and to the start of a run; beside the ledger alone."""

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from benchmarks.measuring import Figure, compare
from benchmarks.trainer_overhead import Ours, ReadyBatches
from experiment.ledger import Ledger
from experiment.quietness import quieten_libraries
from experiment.run_directory import RunDirectory
from experiment.trackers.guarded import GuardedTracker
from experiment.trackers.weights_and_biases import WandbTracker

ROUNDS = 9
# Hidden widths and batch size of a perceptron whose step takes about 10 ms on one core.
WIDTHS, BATCH_SIZE, NUM_BATCHES = (3072, 768, 512), 64, 100
LOG_EVERY_N_STEPS = 10


class _Guarded(GuardedTracker):
    """Fails where a run would go on: what a tracker costs that has given up is not the question."""

    def _try(self, call: Callable[[], None]) -> None:
        call()


def _run_directory(folder: Path) -> RunDirectory:
    run = RunDirectory(folder / "experiment" / f"{time.time_ns()}")
    record: dict[str, Any] = dict.fromkeys(("git", "versions", "hardware", "data_fingerprint", "sweep", "notes"))
    config = OmegaConf.create({"objective": "val/accuracy", "objective_mode": "max"})
    run.create({**record, "status": "running", "experiment": "experiment", "tags": []}, config, diff=None)
    return run


def _trackers(folder: Path, *, run: RunDirectory) -> list[GuardedTracker]:
    tracker = WandbTracker(
        run_dir=str(run.path),
        outputs_dir=str(folder),
        project="benchmark",
        entity=None,
        watch=None,
        upload_best=False,
        start_timeout_s=20.0,
        finish_timeout_s=1.5,
    )
    return [_Guarded(tracker, run, name="wandb")]


def _seconds_per_step(folder: Path, batches: ReadyBatches, *, with_tracker: bool) -> float:
    run = _run_directory(folder)
    trackers = _trackers(folder, run=run) if with_tracker else []
    for tracker in trackers:
        tracker.log_hyperparams({})
    model = Ours(WIDTHS)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=[Ledger(run.path), *trackers],
        log_every_n_steps=LOG_EVERY_N_STEPS,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, train_dataloaders=batches)
    for tracker in trackers:
        tracker.close("finished")
    return model.seconds_per_step


def _seconds_to_start(folder: Path) -> float:
    (tracker,) = _trackers(folder, run=_run_directory(folder))
    started = time.perf_counter()
    tracker.log_hyperparams({})
    seconds = time.perf_counter() - started
    tracker.close("finished")
    return seconds


def measure() -> dict[str, list[Figure]]:
    """Seconds a step, and seconds that W&B takes to be ready, recording on disk."""
    os.environ["WANDB_MODE"] = "offline"
    quieten_libraries()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    batches = ReadyBatches(WIDTHS[0], batch_size=BATCH_SIZE, num_batches=NUM_BATCHES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # The first start of a process also imports wandb and starts its service.
        first = _seconds_to_start(folder)
        steps = compare(
            {
                "the ledger alone": partial(_seconds_per_step, folder, batches, with_tracker=False),
                "the ledger and W&B": partial(_seconds_per_step, folder, batches, with_tracker=True),
            },
            rounds=ROUNDS,
        )
        return {
            "step with a tracker": steps,
            "start of the tracker": [Figure(variant="first in a process", median_s=first, ratio=1.0)],
        }
