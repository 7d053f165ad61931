"""Trackers never break training: what one raises becomes one warning, after which the run goes on without it."""

import json
import logging
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from experiment.failures import in_one_line
from experiment.run_directory import RunDirectory, Status
from experiment.targets import instantiate
from experiment.trackers.picture_folder import PICTURES, PictureFolder


@runtime_checkable
class ShowsPictures(Protocol):
    """A tracker that can show pictures."""

    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        """Pictures of a step under a name."""
        ...


@runtime_checkable
class EndsRuns(Protocol):
    """A tracker that marks how a run ended."""

    def close(self, status: Status) -> None:
        """End the run there; returns within a few seconds, whatever the network does."""
        ...


@runtime_checkable
class KnowsItsRows(Protocol):
    """A tracker that can lose rows when a process is killed, and knows which it has."""

    def last_recorded_step(self) -> int | None:
        """The last step that it holds of this run's earlier starts; None if it has all of them."""
        ...


class GuardedTracker(Logger):
    """Passes to a tracker what is logged, but no step twice, and no failure back.

    A resumed run logs again what it had logged after its checkpoint. Trackers would show such steps twice; the values
    are the same, so those that the ledger has already are not passed on. What a tracker lost when its process was
    killed is passed on from the ledger.

    Args:
        tracker: any of Lightning's loggers or ours.
        name: for the warning.
    """

    def __init__(self, tracker: Logger, run: RunDirectory, *, name: str) -> None:
        super().__init__()
        self.tracker = tracker
        self._run = run
        self._name = name
        self._is_started = False
        self._has_given_up = False
        self._last_steps: dict[str, int] = {}
        self._last_picture_step = -1
        self._step = 0

    @property
    def name(self) -> str | None:
        return self.tracker.name

    @property
    def version(self) -> int | str | None:
        return self.tracker.version

    @property
    def save_dir(self) -> str | None:
        return self.tracker.save_dir

    @property
    def experiment(self) -> Any:
        """The tracker's own object, which Lightning asks for before it logs; a model's own calls are not guarded."""
        found: list[Any] = [None]
        self._try(lambda: found.append(getattr(self.tracker, "experiment", None)))
        return found[-1]

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's whole configuration, once; Lightning's call, with a part of it, comes before anything is logged."""
        if self._is_started:
            return
        self._is_started = True
        self._last_steps = _last_steps(self._run.path / "metrics.jsonl")
        self._last_picture_step = max(
            (int(folder.name) for folder in (self._run.path / PICTURES).glob("*/*") if folder.is_dir()), default=-1
        )
        self._try(lambda: self.tracker.log_hyperparams(config_to_log(self._run)))
        if self._last_steps and isinstance(self.tracker, KnowsItsRows):
            self._try(self._log_lost_rows)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step is not None:
            self._step = step
            metrics = {name: value for name, value in metrics.items() if step > self._last_steps.get(name, -1)}
        # An epoch alone says nothing new.
        if metrics.keys() - {"epoch"}:
            self._try(lambda: self.tracker.log_metrics(metrics, step))

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Image.Image], step: int | None = None) -> None:
        """Show pictures, if the tracker can; without a step they belong to the last one."""
        tracker, at = self.tracker, self._step if step is None else step
        if isinstance(tracker, ShowsPictures) and at > self._last_picture_step:
            self._try(lambda: tracker.log_image(key, images, at))

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:
        self._try(lambda: self.tracker.log_graph(model))

    @rank_zero_only
    def save(self) -> None:
        self._try(self.tracker.save)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        self._try(lambda: self.tracker.after_save_checkpoint(checkpoint_callback))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self._try(lambda: self.tracker.finalize(status))

    @rank_zero_only
    def close(self, status: Status) -> None:
        """End the run at the tracker."""
        tracker = self.tracker
        if not isinstance(tracker, EndsRuns):
            return
        if not self._has_given_up:
            self._try(lambda: tracker.close(status))
            return
        # Left open, W&B's run would hold up the end of the process. Its failure has been told.
        with suppress(Exception):
            tracker.close(status)

    def _log_lost_rows(self) -> None:
        assert isinstance(self.tracker, KnowsItsRows)
        last = self.tracker.last_recorded_step()
        for row in self._run.metric_rows() if last is not None else []:
            if row["step"] > last:
                epoch = {} if row["epoch"] is None else {"epoch": row["epoch"]}
                self.tracker.log_metrics({**row["metrics"], **epoch}, row["step"])

    def _try(self, call: Callable[[], None]) -> None:
        if self._has_given_up:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, the run is worth more
            self._has_given_up = True
            warn_once(f"{self._name} failed ({in_one_line(error)}); the run goes on without it, its ledger is complete")


def open_trackers(entries: dict[str, Any] | None, run: RunDirectory) -> list[Logger]:
    """The folder of pictures, and the trackers that a configuration names, each behind a guard."""
    named = {name: instantiate(entry) for name, entry in (entries or {}).items() if entry is not None}
    # After the trackers: of a resumed run they ask which pictures there were before.
    return [*(GuardedTracker(tracker, run, name=name) for name, tracker in named.items()), PictureFolder(run.path)]


def config_to_log(run: RunDirectory) -> dict[str, Any]:
    """The resolved configuration, and what the run's result depends on beside it."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(run.path / "config.resolved.yaml"))
    record = run.record()
    facts = ("id", "experiment", "git", "versions", "hardware", "data_fingerprint", "sweep")
    return {**config, "run": {key: record[key] for key in facts}}


def warn_once(message: str) -> None:
    """Say it on the screen, and in the run's log."""
    print(message, flush=True)
    logging.getLogger(__name__).warning(message)


def _last_steps(metrics_file: Path) -> dict[str, int]:
    """Of every metric the highest step that was ever logged, also by a part of the run that is replaced now."""
    last: dict[str, int] = {}
    for line in metrics_file.read_text().splitlines() if metrics_file.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            # A kill may cut a line off.
            continue
        for name in row.get("metrics", {}):
            last[name] = max(last.get(name, -1), row["step"])
    return last
