"""`runs.py rm`: moves runs, with what the tracker recorded of them, to a trash folder; `--restore` brings them back."""

import time
from argparse import Namespace
from pathlib import Path

from experiment.failures import Refused
from experiment.run_directory import short_path
from experiment.runs.summaries import Summary, outputs_dir, select_named
from experiment.trackers.wandb_files import recordings

# Runs are looked for two or three folders below the outputs; what is in here lies deeper.
TRASH = ".trash"


def answer(arguments: Namespace) -> int:
    """Move the runs, and say where to."""
    if arguments.restore:
        return _restore(arguments.runs)
    folder = trash(select_named(arguments.runs))
    print(f"in {short_path(folder)}; delete that folder for good, or bring a run back with runs.py rm --restore <id>")
    return 0


def trash(runs: list[Summary]) -> Path:
    """Move runs to a new folder of the trash; returns it.

    Raises:
        Refused: one is still running; then none is moved.
    """
    for run in runs:
        if run["status"] == "running":
            raise Refused(f"run {run['id']} is still running, as process {run['pid']} on {run['host']}; end it first")
    folder = outputs_dir() / TRASH / time.strftime("%Y%m%d-%H%M%S") / "runs"
    for run in runs:
        for path in (Path(run["dir"]), *recordings(outputs_dir(), run["id"])):
            _move(path.absolute(), folder / path.absolute().relative_to(outputs_dir().absolute()))
        print(f"moved {run['id']} ({run['experiment']}, {run['status']})")
    return folder


def _restore(ids: list[str]) -> int:
    for run_id in ids:
        found = sorted((outputs_dir() / TRASH).glob(f"*/runs/**/{run_id}")) + sorted(
            (outputs_dir() / TRASH).glob(f"*/runs/wandb/*run-*-{run_id}")
        )
        if not found:
            raise Refused(f"there is no run {run_id} in {outputs_dir() / TRASH}; write its whole id")
        for path in found:
            parts = path.relative_to(outputs_dir() / TRASH).parts
            _move(path, outputs_dir().joinpath(*parts[2:]))
        print(f"restored {run_id}")
    return 0


def _move(source: Path, target: Path) -> None:
    if target.exists():
        raise Refused(f"{target} is there already; move it away first")
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
