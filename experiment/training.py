"""One run from its request to its result: build, fit, test the best checkpoint, record."""

import hashlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, ModelSummary, ProgressBar
from pytorch_lightning.plugins.environments import SLURMEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn

from experiment.broken_kernels import refuse_broken_kernels
from experiment.callbacks.averaged_weights import refuse_averaging
from experiment.callbacks.data_wait import DataWait
from experiment.callbacks.prune_on_request import PruneOnRequest
from experiment.callbacks.rank_metrics import RankMetrics
from experiment.callbacks.run_checkpoints import RunCheckpoints
from experiment.callbacks.skipped_samples import SkippedSamples
from experiment.callbacks.step_randomness import StepRandomness
from experiment.checkpoint_writing import AtomicCheckpointIO
from experiment.engine_bridge.training_steps import train_from_scratch
from experiment.failures import (
    EXIT_CTRL_C,
    EXIT_FAILED,
    EXIT_SIGTERM,
    Refused,
    RunFailed,
    RunInterrupted,
    RunPruned,
    in_one_line,
    is_out_of_memory,
)
from experiment.ledger import Ledger
from experiment.pruning import PRUNING_VARIABLE
from experiment.quietness import logging_to, quieten_libraries
from experiment.rank_watch import RankWatch, Verdict
from experiment.record import close_record, open_record
from experiment.report import print_header, print_report
from experiment.restoring import claim_checkpoints, load_pretrained_weights, prepare_data, starting_checkpoint
from experiment.run_directory import RUN_DIR_VARIABLE, Status
from experiment.start import RunRequest
from experiment.targets import instantiate, instantiate_flat
from experiment.trackers.guarded import GuardedTracker, open_trackers
from experiment.trackers.weights_and_biases import WandbTracker

# The first process's configuration, for the others of a DDP run to compare theirs with.
_CONFIG_HASH_VARIABLE = "FIRSTHAND_CONFIG_HASH"


class Parts(NamedTuple):
    """The objects of a run."""

    trainer: pl.Trainer
    model: pl.LightningModule
    data: pl.LightningDataModule


def run_training(request: RunRequest) -> float | None:
    """Fit, test, record and report a run; returns the value of its objective.

    Raises:
        Refused: a part cannot be built from the configuration, or this machine lacks what it asks for.
        RunFailed: training or testing could not go on; the run's directory says why.
        RunInterrupted: a signal ended it.
        RunPruned: the sweep that it is a trial of gave it up.
    """
    is_first_process = RUN_DIR_VARIABLE not in os.environ and os.environ.get("RANK", "0") == "0"
    quieten_libraries()
    with _known_to_child_processes(request):
        parts = _build(request)
        prepare_data(parts.data)
        checkpoint = starting_checkpoint(request, parts.model, is_first_process=is_first_process)
        # Also of a run that goes on from its beginning, because it ended before it saved anything.
        is_at_beginning = checkpoint is None and (request.is_resumed or request.source is None)
        loaded = load_pretrained_weights(parts.model) if is_at_beginning else None
        pretrained = str(loaded) if loaded is not None else None
        if is_first_process:
            open_record(request, parts.data, pretrained=pretrained)
            claim_checkpoints(request, checkpoint)
            print_header(request, parts.model, checkpoint, pretrained=pretrained)
        started = time.monotonic()

        def close(
            ending: Exception | None, error: BaseException | None = None, *, objective: float | None = None
        ) -> None:
            seconds = time.monotonic() - started
            close_record(request, parts, seconds=seconds, error=error, ending=ending, objective=objective)

        watch = RankWatch(parts.trainer, report=lambda verdict: _report_lost_rank(verdict, close))
        with logging_to(request.run.log_file):
            try:
                _fit_and_test(request, parts, checkpoint)
                # In DDP every process takes part in reading a metric.
                objective = _objective(request, parts.trainer)
            except BaseException as error:
                verdict = watch.explain(error)
                ending = _lost_rank(verdict) if verdict else _ending_of(error, parts.trainer, request)
                if not is_first_process:
                    # The first process speaks for all.
                    if not isinstance(ending, RunInterrupted | RunPruned):
                        watch.tell("".join(traceback.format_exception(error)))
                        sys.exit(EXIT_FAILED)
                    return None
                close(ending, error)
                _close_trackers(parts.trainer, request.run.record()["status"])
                # Only of these all processes know.
                watch.end(is_failed=not isinstance(error, RunInterrupted | RunPruned))
                request.run.unlock()
                raise ending from error
            watch.end(is_failed=False)
            if is_first_process:
                close(None, objective=objective)
                _close_trackers(parts.trainer, "finished")
                trackers = [logger.tracker for logger in parts.trainer.loggers if isinstance(logger, GuardedTracker)]
                has_dashboard = any(isinstance(tracker, WandbTracker) for tracker in trackers)
                print_report(request.run, has_dashboard=has_dashboard)
    request.run.unlock()
    return objective


def _lost_rank(verdict: Verdict) -> RunFailed:
    if verdict.traceback:
        logging.getLogger(__name__).error(verdict.traceback)
    return RunFailed(f"{verdict.line}; continue with resume=last once that is seen to")


def _report_lost_rank(verdict: Verdict, close: Callable[[Exception], None]) -> None:
    """What can still be done while the main thread waits for a process that is gone."""
    ending = _lost_rank(verdict)
    close(ending)
    print(f"{Path(sys.argv[0]).name}: {ending}", file=sys.stderr)


def _build(request: RunRequest) -> Parts:
    """All objects of a run; nothing is written yet."""
    settings, run = request.settings, request.run
    pl.seed_everything(settings["seed"], workers=True, verbose=False)
    if settings["trainer"]["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        accelerator = settings["trainer"]["accelerator"]
        raise Refused(f"trainer.accelerator={accelerator}, but torch sees no GPU on this machine; try trainer=cpu")
    try:
        data = instantiate_flat(settings["data"])
        model = instantiate_flat(settings["model"])
        callbacks = _entries(settings["callbacks"])
        if not any(isinstance(callback, RunCheckpoints) for callback in callbacks):
            # What a signal finds is saved in any case.
            callbacks.append(RunCheckpoints(run_dir=str(run.path)))
        # First those that save, when nothing has been logged of the epoch to come.
        callbacks.sort(key=lambda callback: not isinstance(callback, RunCheckpoints))
        trainer = instantiate(
            settings["trainer"],
            # Without one of ours Lightning would add one of its own.
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
            enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            enable_model_summary=any(isinstance(callback, ModelSummary) for callback in callbacks),
            callbacks=[
                StepRandomness(seed=settings["seed"]),
                RankMetrics(),
                DataWait(),
                *callbacks,
                *([PruneOnRequest(settings["objective"])] if PRUNING_VARIABLE in os.environ else []),
                SkippedSamples(run.path),
            ],
            logger=[Ledger(run.path), *open_trackers(settings["logger"], run)],
            # Lightning would answer SLURM's signals in its own way: `resume=auto` is ours.
            plugins=[
                AtomicCheckpointIO(),
                *([SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []),
            ],
            default_root_dir=str(run.path),
        )
    except Refused:
        raise
    except Exception as error:
        # Hydra wraps what a constructor raised.
        raise Refused(in_one_line(error.__cause__ or error)) from error
    refuse_broken_kernels(trainer, model)
    refuse_averaging(trainer, model)
    if settings["model"].get("engine") == "scratch":
        train_from_scratch(model)
    if settings["channels_last"]:
        _put_channels_last(model)
    if settings["compile"]:
        model.network.compile()
    return Parts(trainer, model, data)


def _put_channels_last(model: nn.Module) -> None:
    """Also of 3D convolutions, whose format has another name; `Module.to` takes one of the two for all."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim in formats:
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.ndim])


def _entries(group: dict[str, Any] | None) -> list[Any]:
    return [instantiate(entry) for entry in (group or {}).values() if entry is not None]


def _fit_and_test(request: RunRequest, parts: Parts, checkpoint: Path | None) -> None:
    trainer, model, data = parts
    # Lightning would do so after it has restored the weights, which would lose half their digits on the way.
    trainer.precision_plugin.convert_module(model)
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    best = request.run.checkpoints / "best.ckpt"
    # A run that validates nothing, or keeps no checkpoints, is tested as it ended.
    trainer.test(model, datamodule=data, ckpt_path=best if best.exists() else None, verbose=False)


def _ending_of(error: BaseException, trainer: pl.Trainer, request: RunRequest) -> Exception:
    """What to tell the user of an error that ended a run."""
    if isinstance(error, RunInterrupted | RunPruned):
        return error
    if isinstance(error, SIGTERMException):
        return RunInterrupted("SIGTERM: ended without saving", exit_code=EXIT_SIGTERM)
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and trainer.interrupted):
        return RunInterrupted("Ctrl-C: ended without saving", exit_code=EXIT_CTRL_C)
    message = in_one_line(error)
    if is_out_of_memory(error):
        message = f"with data.batch_size={request.settings['data'].get('batch_size')} {message}"
    return RunFailed(f"{message} (traceback: {request.run.log_file})")


def _close_trackers(trainer: pl.Trainer, status: Status) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, GuardedTracker):
            logger.close(status)


def _objective(request: RunRequest, trainer: pl.Trainer) -> float | None:
    """The metric that a sweep compares: of the best checkpoint where it was chosen by that metric, else the last value.

    Raises:
        RunFailed: no such metric was logged.
    """
    name = request.settings["objective"]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by one of Lightning's connectors
        if isinstance(callback, RunCheckpoints) and callback.monitor == name and callback.best_score is not None:
            return callback.best_score
    metrics = {**request.run.last_metrics(), **trainer.callback_metrics}
    if name not in metrics:
        raise RunFailed(f"objective={name} was not logged; choose one of {', '.join(sorted(metrics))}")
    return float(torch.as_tensor(metrics[name]))


@contextmanager
def _known_to_child_processes(request: RunRequest) -> Iterator[None]:
    """Lightning starts the other processes of DDP with this command line: they join this run, with this configuration.

    Raises:
        Refused: this is such a process, and its configuration is another one.
    """
    digest = hashlib.sha256(json.dumps(request.settings, sort_keys=True).encode()).hexdigest()
    expected = os.environ.get(_CONFIG_HASH_VARIABLE)
    if expected is not None and expected != digest:
        raise Refused(
            f"process {os.environ.get('LOCAL_RANK')} composed another configuration than the first process;"
            " a value that differs between processes (a time, a random number) has no place in a configuration"
        )
    before = {name: os.environ.get(name) for name in (RUN_DIR_VARIABLE, _CONFIG_HASH_VARIABLE)}
    os.environ[RUN_DIR_VARIABLE] = str(request.run.path)
    os.environ[_CONFIG_HASH_VARIABLE] = digest
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
