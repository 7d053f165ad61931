"""The metric history of a run, appended line by line to `metrics.jsonl`: what was logged survives a kill."""

import io
import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any, TextIO

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only


class Ledger(Logger):
    """A Lightning logger that is always on."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self._run_dir = run_dir
        self._file: TextIO | None = None

    @property
    def name(self) -> str:
        return self._run_dir.parent.name

    @property
    def version(self) -> str:
        return self._run_dir.name

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration is in the run's directory already."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        self._write({"step": step, "epoch": epoch, "metrics": values})

    @rank_zero_only
    def go_on_from(self, step: int) -> None:
        """Note from where a run goes on: what it logged of this step and after it is replaced by what follows."""
        if (self._run_dir / "metrics.jsonl").exists():
            self._write({"resumed_at_step": step})

    def _write(self, row: dict[str, Any]) -> None:
        if self._file is None:
            self._file = _open_at_line_start(self._run_dir / "metrics.jsonl")
        self._file.write(json.dumps(row) + "\n")
        # Out of this process's buffer: a kill -9 loses nothing. A power cut may lose the last seconds.
        self._file.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _open_at_line_start(file: Path) -> TextIO:
    """To append; a line that a kill has cut off is ended first."""
    stream = file.open("a+b")
    if stream.tell() > 0:
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) != b"\n":
            stream.write(b"\n")
    return io.TextIOWrapper(stream, encoding="utf-8")
