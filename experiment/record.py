"""What a run's directory says of it before the first step and after the last."""

import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from pytorch_lightning import LightningDataModule

from experiment.callbacks.data_wait import data_wait
from experiment.contracts import HasFingerprint, ListsContents
from experiment.failures import Refused, RunInterrupted, RunPruned, in_one_line
from experiment.provenance import git_state, hardware, package_versions
from experiment.run_directory import Status
from experiment.start import RunRequest

if TYPE_CHECKING:
    from experiment.training import Parts


def open_record(request: RunRequest, data: LightningDataModule, *, pretrained: str | None) -> None:
    """Create the run's directory, or note in it that the run goes on.

    Args:
        pretrained: what was loaded before the first step.

    Raises:
        Refused: the run is another process's, or goes on with other data than it began with.
    """
    fingerprint = data.fingerprint() if isinstance(data, HasFingerprint) else None
    git = git_state()
    present = {
        "status": "running",
        "pid": os.getpid(),
        "host": platform.node(),
        "argv": sys.argv,
        "versions": package_versions(),
        "hardware": hardware(),
    }
    if request.is_resumed:
        request.run.lock()
        earlier = request.run.record()
        _refuse_other_data(request, earlier["data_fingerprint"], fingerprint)
        start = {"at": _now(), "overrides": request.overrides, "git_sha": git["sha"], "git_is_dirty": git["is_dirty"]}
        request.run.update(**present, resumed=[*earlier["resumed"], start], error=None)
        request.run.write_config(_config_to_keep(request))
        return
    record = {
        **present,
        "experiment": request.experiment,
        "seed": request.settings["seed"],
        "started": _now(),
        "resumed": [],
        "overrides": request.overrides,
        "tags": request.settings["tags"],
        "notes": request.settings["notes"],
        "git": {key: value for key, value in git.items() if key != "diff"},
        "parent": _parent(request),
        "sweep": request.run.sweep,
        "wall_time_s": 0.0,
        "data_wait": None,
        "num_epochs": 0,
        "global_step": 0,
        "metrics": {},
        "objective": None,
        "data_fingerprint": fingerprint,
        "data_contents": data.contents() if isinstance(data, ListsContents) else None,
        "pretrained": pretrained,
        "error": None,
    }
    request.run.create(record, _config_to_keep(request), diff=git["diff"])


def _refuse_other_data(request: RunRequest, before: str | None, now: str | None) -> None:
    allowed = request.settings["resume"]["allow_changes"]
    if before != now and "data" not in allowed:
        raise Refused(
            f"run {request.run.id} began with other data: its fingerprint was {before} and is {now}; bring the data"
            " back, or allow the change with 'resume.allow_changes=[data]'"
        )


def _parent(request: RunRequest) -> dict[str, Any] | None:
    """The run from whose state this one starts."""
    if request.source is None:
        return None
    checkpoint = request.source.checkpoint
    return {
        "run": request.source.run.id,
        "checkpoint": checkpoint.name if checkpoint else "last",
        "mode": request.settings["fork"]["mode"],
    }


def _config_to_keep(request: RunRequest) -> DictConfig:
    """Without what belongs to a start of the run: where its directory lies, which may be moved; `resume=`, `fork=`."""
    config = request.config.copy()
    config.paths.run_dir = None
    config.resume.run = config.fork.run = None
    config.resume.allow_changes = []
    return config


def close_record(
    request: RunRequest,
    parts: "Parts",
    *,
    seconds: float,
    error: BaseException | None,
    ending: Exception | None,
    objective: float | None = None,
) -> None:
    """Note how a run ended: status, final metrics, and the traceback of a failure in its log."""
    run, trainer = request.run, parts.trainer
    status = _status(ending)
    if error is not None:
        with run.log_file.open("a") as log:
            log.writelines(traceback.format_exception(error))
    run.update(
        status=status,
        ended=_now(),
        wall_time_s=round(run.record()["wall_time_s"] + seconds, 3),
        num_epochs=trainer.current_epoch,
        global_step=trainer.global_step,
        metrics=run.last_metrics(),
        data_wait=data_wait(trainer),
        objective=objective,
        error=in_one_line(ending) if ending is not None else None,
    )


def _status(ending: Exception | None) -> Status:
    if ending is None:
        return "finished"
    if isinstance(ending, RunPruned):
        return "pruned"
    return "interrupted" if isinstance(ending, RunInterrupted) else "failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
