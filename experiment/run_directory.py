"""A run is a directory with an identity: `outputs/<experiment>/<run id>/`. Nothing here needs torch.

run.json        who, what, when, with which versions; status and final metrics
config.yaml     the configuration as composed; config.resolved.yaml: the same with every pointer followed
diff.patch      what the code had that its commit has not
metrics.jsonl   every logged metric; a row that says where the run was resumed takes back what follows that step
checkpoints/    see experiment/checkpoints.py
run.log         warnings, and the traceback of a failure
lock            held by the process that trains the run
"""

import fcntl
import json
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal

from experiment.failures import Refused
from experiment.locations import did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

Status = Literal["running", "finished", "failed", "interrupted", "pruned"]
# Set for the processes that a run starts (DDP ranks), which belong to the same run.
RUN_DIR_VARIABLE = "FIRSTHAND_RUN_DIR"
# Set for a trial of a sweep: `outputs/<experiment>/<sweep id>/<n>/`.
TRIAL_DIR_VARIABLE = "FIRSTHAND_TRIAL_DIR"
SWEEP_FILE = "sweep.json"
_RECORD = "run.json"
_STAMP = "%Y%m%d-%H%M%S"
_ID = re.compile(r"(\d{8}-\d{6})-")
# Locks of this process. The system gives a process every lock it asks for that it has already, and takes it away
# when the file is closed once.
_held: dict[Path, IO[str]] = {}


def new_run_id(outputs_dir: Path) -> str:
    """A name that sorts after those of all runs there, also when the clock was set back, and that nobody else makes."""
    now = time.time()
    fraction = int(now % 1 * 0x10000)
    stamp = time.strftime(_STAMP, time.localtime(now))
    newest = max((file.parent.name for file in outputs_dir.glob(f"*/*/{_RECORD}")), default="")
    if f"{stamp}-{fraction:04x}" <= newest and (found := _ID.match(newest)):
        # Seconds after the newest, whatever the clock says.
        stamp = time.strftime(_STAMP, time.localtime(time.mktime(time.strptime(found.group(1), _STAMP)) + 1))
    return f"{stamp}-{fraction:04x}{secrets.token_hex(3)}"


class RunDirectory:
    """The record of one run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name if self.sweep is None else f"{self.sweep}-{self.path.name}"

    @property
    def sweep(self) -> str | None:
        """The id of the sweep that the run is a trial of."""
        return self.path.parent.name if (self.path.parent / SWEEP_FILE).is_file() else None

    @property
    def outputs_dir(self) -> Path:
        return self.path.parents[1] if self.sweep is None else self.path.parents[2]

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def log_file(self) -> Path:
        return self.path / "run.log"

    @property
    def is_started(self) -> bool:
        """Whether it has been written to."""
        return (self.path / _RECORD).is_file()

    def create(self, record: dict[str, Any], config: "DictConfig", *, diff: str | None) -> None:
        """Make the directory, which must not exist, and write what is known before the first step.

        Raises:
            Refused: another run has this directory.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=False)
        except FileExistsError as error:
            raise Refused(f"{self.path} is another run's; start again to get a directory of its own") from error
        self.lock()
        self.checkpoints.mkdir()
        self.write_config(config)
        if diff:
            (self.path / "diff.patch").write_text(diff)
        self._write({"id": self.id, **record})

    def write_config(self, config: "DictConfig") -> None:
        """The configuration as composed and as resolved; a run that goes on for longer has another one than before."""
        from omegaconf import OmegaConf

        for name, resolve in (("config.yaml", False), ("config.resolved.yaml", True)):
            with replacing(self.path / name) as stream:
                stream.write(OmegaConf.to_yaml(config, resolve=resolve).encode())

    def update(self, **changes: Any) -> None:
        """Change entries of the record."""
        self._write({**self.record(), **changes})

    def record(self) -> dict[str, Any]:
        """`run.json` as it stands."""
        file = self.path / _RECORD
        try:
            record: dict[str, Any] = json.loads(file.read_text())
        except ValueError as error:
            raise Refused(f"{file} is damaged ({error}); restore it, or move the run's folder away") from error
        return record

    def status(self) -> Status:
        """As recorded; a run whose process is gone without a word was interrupted, by a kill -9 for one."""
        record = self.record()
        status: Status = record["status"]
        if status == "running" and record["host"] == platform.node() and not self._is_locked():
            return "interrupted"
        return status

    def lock(self) -> None:
        """Let no other process go on with this run; ends with this process, however that ends.

        Raises:
            Refused: another process has it.
        """
        if self.path in _held:
            return
        file = (self.path / "lock").open("w")
        try:
            # Not flock: a loader's worker process would inherit that, and may live a little longer than the run.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            record = self.record()
            raise Refused(
                f"run {self.id} is still running, as process {record['pid']} on {record['host']};"
                " wait for it, or end it"
            ) from error
        _held[self.path] = file

    def unlock(self) -> None:
        """Let others have it."""
        if file := _held.pop(self.path, None):
            file.close()

    def _is_locked(self) -> bool:
        if self.path in _held:
            return True
        try:
            with (self.path / "lock").open("a") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def config(self) -> "DictConfig":
        """The configuration as composed."""
        from omegaconf import DictConfig, OmegaConf

        config = OmegaConf.load(self.path / "config.yaml")
        assert isinstance(config, DictConfig)
        return config

    def last_metrics(self) -> dict[str, float]:
        """Of every metric the value logged last."""
        metrics: dict[str, float] = {}
        for row in self.metric_rows():
            metrics.update(row["metrics"])
        return metrics

    def metric_rows(self) -> list[dict[str, Any]]:
        """The metric history: step, epoch and metrics of every logging call, in the order of the calls.

        What a run logged after the state from which it was resumed is left out: it was logged again.
        """
        file = self.path / "metrics.jsonl"
        rows: list[dict[str, Any]] = []
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:
                # The last line of a killed run may lack its end.
                continue
            if "resumed_at_step" in row:
                rows = [earlier for earlier in rows if earlier["step"] < row["resumed_at_step"]]
                continue
            if any(name.startswith("test/") for name in row["metrics"]):
                # A run is tested at its end; one that was killed there is tested again.
                rows = [earlier for earlier in rows if earlier["metrics"].keys() != row["metrics"].keys()]
            rows.append(row)
        return rows

    def _write(self, record: dict[str, Any]) -> None:
        with replacing(self.path / _RECORD) as stream:
            stream.write((json.dumps(record, indent=1, default=str) + "\n").encode())


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A stream whose content takes the file's place once it is whole: a crash leaves the old content or the new."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        _flush_directory(file.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def short_path(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def list_runs(outputs_dir: Path) -> list[RunDirectory]:
    """All runs, the oldest first; the trials of a sweep stand where it began."""
    files = [*outputs_dir.glob(f"*/*/{_RECORD}"), *outputs_dir.glob(f"*/*/*/{_RECORD}")]
    return sorted((RunDirectory(file.parent) for file in files), key=_age)


def _age(run: RunDirectory) -> tuple[str, int]:
    return (run.id, 0) if run.sweep is None else (run.sweep, int(run.path.name))


def find_run(reference: str, outputs_dir: Path) -> RunDirectory:
    """The run meant by `last`, an id or the beginning of one, its directory, or one of its checkpoints.

    Raises:
        Refused: there is none, or more than one.
    """
    path = Path(reference)
    reference = reference.rstrip("/")
    if path.suffix == ".ckpt" and path.is_file():
        path = path.parent.parent
    if (path / _RECORD).is_file():
        return RunDirectory(path.absolute())
    runs = list_runs(outputs_dir)
    if not runs:
        raise Refused(f"there are no runs in {outputs_dir}; start one with python train.py, or set FIRSTHAND_OUTPUTS")
    if reference == "last":
        return runs[-1]
    matches = [run for run in runs if run.id.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Refused(
            f"run={reference} could be any of {', '.join(run.id for run in matches[:5])}; write more of the id"
        )
    raise Refused(f"there is no run {reference} in {outputs_dir}{did_you_mean(reference, [run.id for run in runs])}")
