"""What a sweep knows of its trials, on disk: `trials/<n>.json`, whole or not there, whatever is killed when."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from experiment.run_directory import RunDirectory, replacing

Status = Literal[
    "running", "finished", "pruned", "failed", "refused", "out of memory", "timed out", "killed", "interrupted"
]
# Not run again when the sweep goes on.
ENDED: tuple[Status, ...] = ("finished", "pruned", "failed", "refused", "out of memory", "timed out")
# What makes the sweep's exit code 1.
BAD: tuple[Status, ...] = ("failed", "refused", "out of memory", "timed out", "killed")


class Outcome(NamedTuple):
    """How a trial ended, as far as its own process could say."""

    status: Status
    objective: float | None
    metrics: dict[str, float]
    error: str | None
    traceback: str | None = None


@dataclass
class TrialRecord:
    """One trial: a point of the search space under one seed."""

    number: int
    point: int
    params: dict[str, str]
    overrides: list[str]
    seed: int | None = None
    status: Status = "running"
    objective: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    traceback: str | None = None
    seconds: float = 0.0

    @property
    def is_ended(self) -> bool:
        return self.status in ENDED


class TrialRecords:
    """The records of one sweep."""

    def __init__(self, sweep_dir: Path) -> None:
        self._sweep_dir = sweep_dir
        self._folder = sweep_dir / "trials"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._records = {record.number: record for record in map(_read, self._folder.glob("[0-9]*.json"))}

    def __iter__(self) -> Any:
        return iter(sorted(self._records.values(), key=lambda record: record.number))

    def get(self, number: int) -> TrialRecord | None:
        return self._records.get(number)

    def write(self, record: TrialRecord) -> None:
        """Keep it, durably."""
        self._records[record.number] = record
        with replacing(self._folder / f"{record.number}.json") as stream:
            stream.write((json.dumps(asdict(record), indent=1) + "\n").encode())

    def log_file(self, number: int) -> Path:
        return self._folder / f"{number}.log"

    def run_of(self, number: int) -> RunDirectory:
        return RunDirectory(self._sweep_dir / str(number))

    def of_point(self, point: int) -> list[TrialRecord]:
        return [record for record in self if record.point == point]


def _read(file: Path) -> TrialRecord:
    return TrialRecord(**json.loads(file.read_text()))
