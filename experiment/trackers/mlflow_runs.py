"""MLflow with a SQLite file beside the runs: a dashboard in the browser without an account (`make dashboard-web`)."""

import logging
import math
import os
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from PIL import Image
from pytorch_lightning.loggers import Logger

from experiment.run_directory import RunDirectory, Status
from experiment.runs.summaries import flat

_RUN_TAG = "firsthand.run"
_SWEEP_TAG = "firsthand.sweep"
# MLflow's own names for a run's place below another, its notes and its name.
_PARENT_TAG = "mlflow.parentRunId"
_NOTE_TAG = "mlflow.note.content"
_LONGEST_VALUE = 500
# What one call takes.
_PARAMETERS_A_CALL = 100


class MLflowTracker(Logger):
    """A run of MLflow for each of ours: resumed into the same, the trials of a sweep below one of the sweep.

    Args:
        run_dir: the run's directory.
        tracking_uri: a database, or a server's address.
        artifacts_dir: where pictures go; only with a database, for a server says that itself.

    Raises:
        ModuleNotFoundError: mlflow is not installed.
    """

    def __init__(self, *, run_dir: str, tracking_uri: str, artifacts_dir: str | None) -> None:
        super().__init__()
        # A server that does not answer is given up at once, not after minutes of retries.
        for name, value in (("MAX_RETRIES", "1"), ("TIMEOUT", "5")):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # So that batches are written in their order.
        os.environ.setdefault("MLFLOW_ASYNC_LOGGING_THREADPOOL_SIZE", "1")
        try:
            # Installed by those who want it, so nothing is known of its types.
            self._mlflow: Any = import_module("mlflow")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("logger=mlflow needs the package mlflow: pip install mlflow") from error
        # It tells of every table that it creates.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._run_directory = RunDirectory(Path(run_dir))
        self._tracking_uri = tracking_uri
        self._artifacts_dir = artifacts_dir
        self._client: Any = None
        self._last_batch: Any = None
        self._parent_run_id: str | None = None
        self._mlflow_run_id = ""
        self._experiment_id = ""

    @property
    def name(self) -> str:
        return "mlflow"

    @property
    def version(self) -> str:
        return self._mlflow_run_id

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """MLflow's client; the run is opened at the first use."""
        if self._client is None:
            if (file := self._tracking_uri.removeprefix("sqlite:///")) != self._tracking_uri:
                Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
            self._client = self._mlflow.MlflowClient(self._tracking_uri)
            self._open_run()
        return self._client

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """New keys as parameters; what a resumed run changed as tags, for MLflow refuses to change a parameter."""
        assert isinstance(params, dict)
        client = self.experiment
        there = client.get_run(self._mlflow_run_id).data.params
        values = {key: str(value)[:_LONGEST_VALUE] for key, value in flat(params).items()}
        new = [self._mlflow.entities.Param(key, value) for key, value in values.items() if key not in there]
        changed = [
            self._mlflow.entities.RunTag(f"changed.{key}", value)
            for key, value in values.items()
            if there.get(key, value) != value
        ]
        for part in _parts(new, _PARAMETERS_A_CALL):
            client.log_batch(self._mlflow_run_id, params=part)
        for part in _parts(changed, _PARAMETERS_A_CALL):
            client.log_batch(self._mlflow_run_id, tags=part)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        rows = [
            self._mlflow.entities.Metric(name, float(value), now, step or 0)
            for name, value in metrics.items()
            if math.isfinite(value)
        ]
        # In a thread of MLflow's: a commit to the database takes as long as half a step of a small network.
        self._last_batch = self.experiment.log_batch(self._mlflow_run_id, metrics=rows, synchronous=False)

    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        for index, image in enumerate(images):
            self.experiment.log_image(self._mlflow_run_id, image, key=f"{key}/{index}", step=step, synchronous=True)

    def close(self, status: Status) -> None:
        """Wait for what is still written, and mark how the run ended."""
        if self._client is None:
            return
        # The last of them. MLflow's own flush is for its default database, and would create that.
        if self._last_batch is not None:
            self._last_batch.wait()
        self._client.set_terminated(
            self._mlflow_run_id, {"finished": "FINISHED", "failed": "FAILED"}.get(status, "KILLED")
        )
        if self._parent_run_id is not None:
            # A sweep lasts from its first trial to its last.
            self._client.set_terminated(self._parent_run_id, "FINISHED")

    def _open_run(self) -> None:
        record = self._run_directory.record()
        self._experiment_id = self._find_or_create_experiment(record["experiment"])
        tags = {
            _RUN_TAG: record["id"],
            "git": str(record["git"]["sha"]),
            "seed": str(record["seed"]),
            **dict.fromkeys(record["tags"], ""),
        }
        if record["notes"]:
            tags[_NOTE_TAG] = record["notes"]
        if record["sweep"] is not None:
            self._parent_run_id = self._find_or_create_run(
                {_SWEEP_TAG: record["sweep"]}, name=f"sweep {record['sweep']}"
            )
            tags[_PARENT_TAG] = self._parent_run_id
            self._client.update_run(self._parent_run_id, status="RUNNING")
        self._mlflow_run_id = self._find_or_create_run({_RUN_TAG: record["id"]}, name=record["id"], more_tags=tags)
        self._client.update_run(self._mlflow_run_id, status="RUNNING")

    def _find_or_create_experiment(self, name: str) -> str:
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        location = None if self._artifacts_dir is None else Path(self._artifacts_dir).absolute().as_uri()
        try:
            return str(self._client.create_experiment(name, artifact_location=location))
        except self._mlflow.exceptions.MlflowException:
            # Another run, started at the same time, was quicker.
            return str(self._client.get_experiment_by_name(name).experiment_id)

    def _find_or_create_run(self, key: dict[str, str], *, name: str, more_tags: dict[str, str] | None = None) -> str:
        """The run with a tag; of two trials that both make their sweep's, the older one counts from then on."""
        condition = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in key.items())
        found = self._search(condition)
        if not found:
            created = self._client.create_run(self._experiment_id, run_name=name, tags={**key, **(more_tags or {})})
            found = self._search(condition) or [created]
        return str(found[0].info.run_id)

    def _search(self, condition: str) -> list[Any]:
        found = self._client.search_runs([self._experiment_id], condition, order_by=["attributes.start_time ASC"])
        return list(found)


def _parts(items: Sequence[Any], size: int) -> Iterator[Iterable[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
