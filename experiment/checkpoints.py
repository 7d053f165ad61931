"""A run's checkpoints: their names, which one counts, and how they are read: plain data only, and what was written.

epoch=0012-step=000240-val_accuracy=0.9833.ckpt    epochs finished, optimiser steps, the monitored metric of this state
last.ckpt, best.ckpt                               links to two of these
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from experiment.failures import Refused
from experiment.run_directory import RunDirectory

_NAME = re.compile(r"epoch=(\d+)-step=(\d+)(?:-[^=]+=[^=]+)?\.ckpt")


class DamagedCheckpoint(Refused):
    """The file is not what was written, or holds more than data."""


def checkpoint_name(*, epoch: int, step: int, metric: tuple[str, float] | None) -> str:
    """A name that says what a checkpoint holds and sorts by progress."""
    score = f"-{metric[0].replace('/', '_')}={metric[1]:.4f}" if metric is not None else ""
    return f"epoch={epoch:04d}-step={step:06d}{score}.ckpt"


def step_in(file: Path) -> int:
    """The optimiser steps that a checkpoint's name gives, -1 if it is named otherwise."""
    found = _NAME.fullmatch(file.name)
    return int(found.group(2)) if found else -1


def load_checkpoint(path: Path, *, map_location: Any | None = None) -> dict[str, Any]:
    """A checkpoint whose content is what was written, and only plain data.

    torch writes a checksum beside every tensor, but does not look at it when it loads.

    Raises:
        DamagedCheckpoint: it is cut off, a checksum differs, or loading it would run code.
        FileNotFoundError: there is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (record := archive.testzip()) is not None:
                raise DamagedCheckpoint(
                    f"{path} is damaged: the checksum of its record {record} is not what was written"
                )
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except (FileNotFoundError, DamagedCheckpoint):
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DamagedCheckpoint(f"{path} is not a checkpoint of plain data, or is cut off: {reason}") from error
    return checkpoint


def last_whole_checkpoint(run: RunDirectory) -> tuple[Path | None, list[str]]:
    """What a run goes on from, None if it ended before it saved anything; and why it is not the newest, if it is not.

    Raises:
        Refused: there are some, and none can be used.
    """
    reasons = []
    for file in _candidates(run):
        try:
            load_checkpoint(file, map_location="meta")
        except Refused as refusal:
            reasons.append(str(refusal))
            continue
        return file, reasons
    if reasons:
        raise Refused("; ".join(reasons))
    return None, []


def half_written(run: RunDirectory) -> dict[Path, str]:
    """What a killed process was saving, with the names it would have got."""
    leftovers = sorted(run.checkpoints.glob(".*.tmp"))
    return {file: file.name.lstrip(".").split(".ckpt")[0] + ".ckpt" for file in leftovers}


def _candidates(run: RunDirectory) -> list[Path]:
    """What a run may go on from, the best first: its last checkpoint, then older ones.

    Newer ones than the last are of a future that was given up by resuming from an older checkpoint.
    """
    last = run.checkpoints / "last.ckpt"
    target = last.resolve() if last.is_symlink() else last
    newest = step_in(target)
    older = sorted(
        (file for file in run.checkpoints.glob("epoch=*.ckpt") if newest < 0 or step_in(file) < newest),
        key=step_in,
        reverse=True,
    )
    return [*([target] if target.is_file() else []), *older]


def checkpoint_of(run: RunDirectory, name: str) -> Path:
    """The run's `best` or `last` checkpoint.

    Raises:
        Refused: it has none of that name.
    """
    file = run.checkpoints / f"{name}.ckpt"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in run.checkpoints.glob("*.ckpt"))) or "none"
        raise Refused(f"run {run.id} has no checkpoint {name} (it has: {there})")
    return file


def point(link: Path, target: str) -> None:
    """Let a link name another file of its folder, in one step."""
    temporary = link.with_name(f".{link.name}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
