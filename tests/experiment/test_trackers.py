"""Trackers: no step twice, no failure back, and what W&B, MLflow and CSV are given."""

import importlib.util
import json
import socket
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from pytorch_lightning.loggers import Logger
from wandb.proto import wandb_internal_pb2

from experiment import training
from experiment.failures import Refused
from experiment.ledger import Ledger
from experiment.run_directory import RunDirectory
from experiment.trackers.csv_file import CsvFile
from experiment.trackers.guarded import GuardedTracker
from experiment.trackers.wandb_files import _records, recordings
from experiment.trackers.weights_and_biases import STEP, choose_mode
from tests.conftest import MakeRequest
from tests.experiment.runs.past_runs import make_run

SHORT = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.log_every_n_steps=1",
)


class _Remembering(Logger):
    """A tracker that keeps what it is given, or raises."""

    name = "remembering"
    version = "1"

    def __init__(self, *, recorded: int | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []
        self.pictures: list[tuple[str, int]] = []
        self.ended: list[str] = []
        self.recorded = recorded
        self.error = error

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.params = params

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self.error is not None:
            raise self.error
        self.rows.append((step, metrics))

    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        self.pictures.append((key, step))

    def last_recorded_step(self) -> int | None:
        return self.recorded

    def close(self, status: str) -> None:
        self.ended.append(status)


def _run(tmp_path: Path, **arguments: Any) -> RunDirectory:
    return RunDirectory(make_run(tmp_path / "outputs", "a", **arguments))


def test_steps_that_the_ledger_has_already_are_not_passed_on(tmp_path: Path) -> None:
    run = _run(tmp_path, rows=[(1, {"x": 1.0}), (2, {"x": 2.0, "y": 2.0})])
    tracker = _Remembering()
    guard = GuardedTracker(tracker, run, name="it")
    guard.log_hyperparams({})
    for step in (1, 2, 3):
        guard.log_metrics({"x": step, "y": step, "epoch": 0}, step)
    assert tracker.rows == [(3, {"x": 3, "y": 3, "epoch": 0})]


def test_rows_lost_at_a_kill_are_passed_on_from_the_ledger(tmp_path: Path) -> None:
    run = _run(tmp_path, rows=[(1, {"x": 1.0}), (2, {"x": 2.0}), (3, {"x": 3.0})])
    tracker = _Remembering(recorded=1)
    guard = GuardedTracker(tracker, run, name="it")
    guard.log_hyperparams({})
    guard.log_metrics({"x": 3.0}, 3)
    guard.log_metrics({"x": 4.0}, 4)
    assert [(step, row["x"]) for step, row in tracker.rows] == [(2, 2.0), (3, 3.0), (4, 4.0)]


def test_a_tracker_is_given_the_whole_configuration_and_the_code(tmp_path: Path) -> None:
    tracker = _Remembering()
    GuardedTracker(tracker, _run(tmp_path, lr=0.25), name="it").log_hyperparams({"part": 1})
    assert tracker.params["optim"]["lr"] == 0.25
    assert tracker.params["run"]["git"]["sha"] == "0" * 40


def test_a_tracker_that_fails_is_warned_of_once_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = _Remembering(error=OSError(28, "No space left on device"))
    guard = GuardedTracker(tracker, _run(tmp_path), name="it")
    guard.log_hyperparams({})
    for step in range(3):
        guard.log_metrics({"x": 1.0}, step)
    guard.close("finished")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("it failed (the disk is full")
    assert tracker.ended == ["finished"]


def test_wandb_is_left_before_the_disk_is_full(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    request = make_request(*SHORT, "logger=wandb")
    training.run_training(request)
    assert capsys.readouterr().out.count("wandb failed (the disk is full") == 1
    assert request.run.status() == "finished"


def test_pictures_before_the_place_of_resuming_are_not_shown_twice(tmp_path: Path) -> None:
    run = _run(tmp_path)
    (run.path / "pictures" / "val-pictures" / "10").mkdir(parents=True)
    tracker = _Remembering()
    guard = GuardedTracker(tracker, run, name="it")
    guard.log_hyperparams({})
    for step in (10, 20):
        guard.log_image("val/pictures", [], step)
    guard.log_metrics({"x": 1.0}, 25)
    guard.log_image("test/confusion", [])
    assert tracker.pictures == [("val/pictures", 20), ("test/confusion", 25)]


def test_a_failing_tracker_leaves_run_and_ledger_whole(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(*SHORT)
    guard = GuardedTracker(_Remembering(error=RuntimeError("gone")), request.run, name="it")
    monkeypatch.setattr(training, "open_trackers", lambda entries, run: [guard])
    training.run_training(request)
    plain = make_request(*SHORT)
    training.run_training(plain)
    assert request.run.status() == "finished"
    assert request.run.metric_rows() == plain.run.metric_rows()


def test_csv_has_a_row_for_every_step_of_a_resumed_run(tmp_path: Path) -> None:
    run = _run(tmp_path, rows=[(1, {"x": 1.0}), (2, {"x": 2.0})])
    ledger = Ledger(run.path)
    ledger.go_on_from(2)
    ledger.log_metrics({"x": 3.0, "y": 4.0}, 2)
    CsvFile(run_dir=str(run.path)).close("finished")
    assert (run.path / "metrics.csv").read_text() == "step,epoch,x,y\n1,0,1.0,\n2,,3.0,4.0\n"


def _wandb_records(folder: Path) -> list[Any]:
    """All records of a recording that has ended; W&B's own process writes the last of them after `finish` returns."""
    (file,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 20
    while True:
        records = [wandb_internal_pb2.Record.FromString(content) for content, _ in _records(file.read_bytes())]
        if "exit" in (record.WhichOneof("record_type") for record in records):
            return records
        assert time.monotonic() < deadline, f"{file} has no end"
        time.sleep(0.01)


def _wandb_values(outputs: Path, run_id: str) -> Counter[tuple[str, int]]:
    """Every metric and step in all of W&B's files of a run."""
    values: Counter[tuple[str, int]] = Counter()
    for folder in recordings(outputs, run_id):
        for record in _wandb_records(folder):
            history = record.history.item
            # A picture has several items below its name.
            row = {item.key or item.nested_key[0]: item.value_json for item in history}
            values.update((name, int(row[STEP])) for name in row if "/" in name and name != STEP)
    return values


def test_wandb_has_every_value_of_a_resumed_run_once(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request(*SHORT, "logger=wandb", "callbacks.validation_pictures.every_n_epochs=1")
    training.run_training(request)
    resumed = make_request(resumed=request.run)
    resumed.settings["trainer"]["max_epochs"] = 3
    training.run_training(resumed)
    values = _wandb_values(tmp_path / "outputs", request.run.id)
    logged = {(name, row["step"]) for row in request.run.metric_rows() for name in row["metrics"] if "/" in name}
    pictures = {key for key in values if key[0] in ("val/pictures", "test/confusion_matrix")}
    assert len(recordings(tmp_path / "outputs", request.run.id)) == 2
    assert sorted(name for name, _ in pictures) == ["test/confusion_matrix"] * 2 + ["val/pictures"] * 3
    # The ledger forgets the test at the end of the first start.
    tested_before = {key for key in values if key[0].startswith("test/") and key[1] == 6}
    # Times are not in the ledger.
    times = {key for key in values if key[0].startswith("time/")}
    assert times == {("time/data_wait", step) for step in (2, 5, 8)}
    assert set(values) - pictures - tested_before - times == logged
    assert set(values.values()) == {1}
    assert (request.run.path / "pictures" / "val-pictures" / "3" / "7.png").is_file()


def test_wandb_marks_a_failed_run_and_its_sweep_and_best_values(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(*SHORT, "logger=wandb", "tags=[first]", "notes=hello", "optim.lr=1e20")
    opened = training.open_record

    def opened_in_a_sweep(*arguments: Any, **more: Any) -> None:
        opened(*arguments, **more)
        request.run.update(sweep="sweep-1")

    monkeypatch.setattr(training, "open_record", opened_in_a_sweep)
    with pytest.raises(Exception, match="the loss is"):
        training.run_training(request)
    (folder,) = recordings(tmp_path / "outputs", request.run.id)
    records = _wandb_records(folder)
    (exit_code,) = [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"]
    run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert exit_code == 1
    assert (run.run_id, run.run_group, run.job_type, run.notes) == (request.run.id, "sweep-1", "train", "hello")
    assert set(run.tags) == {"vgg_digits", "first"}


def test_an_agent_of_wandb_finds_the_run_under_its_own_id(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "agentsid")
    training.run_training(make_request(*SHORT, "logger=wandb"))
    assert len(recordings(tmp_path / "outputs", "agentsid")) == 1


def test_wandb_is_offline_without_a_key_or_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert choose_mode() == "offline"
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert choose_mode() == "online"
    assert choose_mode() == "offline"
    assert "does not answer; recording on disk" in capsys.readouterr().out
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode() is None


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed")
def test_mlflow_that_is_not_installed_is_asked_for(make_request: MakeRequest) -> None:
    request = make_request(*SHORT, "logger=mlflow")
    with pytest.raises(Refused, match="pip install mlflow"):
        training.run_training(request)
    assert not request.run.path.exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_resumes_one_run_and_puts_trials_below_their_sweep(
    make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    opened = training.open_record

    def opened_in_a_sweep(request: Any, *arguments: Any, **more: Any) -> None:
        opened(request, *arguments, **more)
        request.run.update(sweep="sweep-1")

    monkeypatch.setattr(training, "open_record", opened_in_a_sweep)
    requests = [make_request(*SHORT, "logger=mlflow", f"seed={seed}") for seed in (1, 2)]
    for request in requests:
        training.run_training(request)
    resumed = make_request(resumed=requests[0].run)
    resumed.settings["trainer"]["max_epochs"] = 3
    resumed.config.trainer.max_epochs = 3
    training.run_training(resumed)
    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    runs = {run.info.run_name: run for run in client.search_runs(["1"])}
    parent = runs.pop("sweep sweep-1")
    assert set(runs) == {request.run.id for request in requests}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    first = runs[requests[0].run.id]
    assert (first.info.status, first.data.tags["changed.trainer.max_epochs"]) == ("FINISHED", "3")
    steps = [point.step for point in client.get_metric_history(first.info.run_id, "train/loss_step")]
    assert sorted(steps) == list(range(9))
    assert json.dumps(first.data.params["optim.lr"]) == '"0.002"'
