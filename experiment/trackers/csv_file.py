"""A run's metrics as `metrics.csv`, one row a step."""

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from experiment.run_directory import RunDirectory, Status, replacing


class CsvFile(Logger):
    """Written from the ledger when a run ends, however it ends but for a kill.

    Lightning's CSVLogger deletes the rows of a run that is resumed.
    """

    def __init__(self, *, run_dir: str) -> None:
        super().__init__()
        self._run = RunDirectory(Path(run_dir))

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return self._run.id

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the configuration lies beside the file."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Nothing: the ledger has it."""

    def close(self, status: Status) -> None:
        """Write the file."""
        rows: dict[int, dict[str, Any]] = {}
        for row in self._run.metric_rows():
            merged = rows.setdefault(row["step"], {"step": row["step"]})
            merged.update(row["metrics"] if row["epoch"] is None else {"epoch": row["epoch"], **row["metrics"]})
        names = sorted({name for row in rows.values() for name in row} - {"step", "epoch"})
        with replacing(self._run.path / "metrics.csv") as stream:
            lines = [["step", "epoch", *names]]
            lines += [[rows[step].get(name, "") for name in lines[0]] for step in sorted(rows)]
            for line in lines:
                stream.write((_as_csv(line) + "\n").encode())


def _as_csv(cells: list[Any]) -> str:
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()
