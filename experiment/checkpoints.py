"""Checkpoints that are whole or not there, hold plain data only, and are known to be what was written."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH

from experiment.failures import Refused
from experiment.run_directory import RunDirectory, replacing


class DamagedCheckpoint(Refused):
    """The file is not what was written, or holds more than data."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, renames. Loads plain data only.

    Lightning writes to the system's temporary folder first, which is a copy, not a rename, when that is another file
    system: a kill in the middle left a part of a file under the checkpoint's name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Replace the checkpoint, or leave the old one as it is."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            torch.save(checkpoint, stream)

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Any | None = None,
        weights_only: bool | None = None,  # noqa: FBT001 - Lightning's signature
    ) -> dict[str, Any]:
        """See `load_checkpoint`: only plain data, whatever is asked."""
        return load_checkpoint(Path(path), map_location=map_location)


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


def checkpoint_to_resume(run: RunDirectory) -> Path:
    """The run's last checkpoint, or if that is damaged or missing its best, which is said aloud.

    Raises:
        Refused: neither can be used.
    """
    reasons = []
    for name in ("last", "best"):
        try:
            file = checkpoint_of(run, name)
            load_checkpoint(file, map_location="meta")
        except Refused as refusal:
            reasons.append(str(refusal))
            continue
        if reasons:
            print(f"{reasons[0]}; going on from {name}.ckpt instead", flush=True)
        return file
    raise Refused("; ".join(reasons))


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
