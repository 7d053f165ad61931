"""Weights & Biases: online with an API key and a network, else recorded on disk for `wandb leet` and `runs.py sync`."""

import errno
import json
import os
import shutil
import socket
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from lightning_fabric.loggers.logger import rank_zero_experiment
from PIL import Image
from pytorch_lightning.loggers import Logger
from torch import nn

from experiment.run_directory import RunDirectory, Status
from experiment.runs.curves import direction_of
from experiment.trackers.guarded import warn_once
from experiment.trackers.wandb_files import base_url, has_api_key, last_step, recordings, repair

if TYPE_CHECKING:
    import wandb

STEP = "trainer/global_step"
_CONNECT_TIMEOUT_S = 2.0
_LEAST_FREE_BYTES = 5_000_000
_WRITE_TIMEOUT_S = 30.0


class WandbTracker(Logger):
    """A run of W&B under the ledger's own id, so that a resumed run is one curve.

    Args:
        run_dir: the run's directory.
        outputs_dir: its folder `wandb` holds what is recorded of all runs.
        project, entity: as W&B has them.
        watch: record histograms of gradients, of parameters, or of both (`all`).
        upload_best: keep the best checkpoint as an artifact; raise `finish_timeout_s` with it.
        start_timeout_s: how long to wait for the server, after which the run is recorded on disk.
        finish_timeout_s: how long the end of a run waits for an upload; the rest stays on disk.
    """

    def __init__(
        self,
        *,
        run_dir: str,
        outputs_dir: str,
        project: str,
        entity: str | None,
        watch: Literal["gradients", "parameters", "all"] | None,
        upload_best: bool,
        start_timeout_s: float,
        finish_timeout_s: float,
    ) -> None:
        super().__init__()
        # Greetings, and a sparkline of every metric; the setting of that name leaves some of it.
        os.environ.setdefault("WANDB_SILENT", "true")
        # W&B's telemetry prints its own failures, and makes the end of a process wait 10 s for a server that hangs.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._run_directory = RunDirectory(Path(run_dir))
        self._outputs_dir = Path(outputs_dir).absolute()
        self._project = project
        self._entity = entity
        self._watch = watch
        self._upload_best = upload_best
        self._start_timeout_s = start_timeout_s
        self._finish_timeout_s = finish_timeout_s
        self._wandb_run: wandb.Run | None = None
        self._config: dict[str, Any] = {}
        self._defined: set[str] = set()

    @property
    def name(self) -> str:
        return self._project

    @property
    def version(self) -> str:
        return self._run_directory.id

    @property
    @rank_zero_experiment
    def experiment(self) -> "wandb.Run":
        """W&B's own run, started at the first use."""
        if self._wandb_run is None:
            self._wandb_run = self._start()
        return self._wandb_run

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self._config = dict(params) if isinstance(params, dict) else vars(params)
        # A run that goes on for longer has another configuration than it had.
        self.experiment.config.update(params, allow_val_change=True)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._refuse_full_disk()
        for name in metrics.keys() - self._defined:
            self._define(name)
        self.experiment.log({**metrics, STEP: step})

    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        import wandb

        self.experiment.log({key: [wandb.Image(image) for image in images], STEP: step})

    def log_graph(self, model: nn.Module, input_array: Any = None) -> None:
        """No graph, but what is asked for of gradients and parameters."""
        if self._watch is not None:
            self.experiment.watch(model, log=self._watch, log_freq=100)

    def last_recorded_step(self) -> int | None:
        """Of a run whose earlier starts are all on this disk; what is online already is taken to be whole."""
        folders = recordings(self._outputs_dir, self.version)
        earlier = [folder for folder in folders if not self._is_of_this_start(folder)]
        if not earlier or not all(folder.name.startswith("offline-") for folder in earlier):
            return None
        steps = [last_step(file, key=STEP) for folder in earlier for file in folder.glob("*.wandb")]
        return max((step for step in steps if step is not None), default=-1)

    def close(self, status: Status) -> None:
        """Mark how the run ended, and leave; in a sweep the next one would else be written into it."""
        if self._wandb_run is None:
            return
        best = self._run_directory.checkpoints / "best.ckpt"
        if self._upload_best and best.is_file():
            self._wandb_run.log_artifact(str(best.resolve()), name=f"{self.version}-best", type="model")
        run, self._wandb_run = self._wandb_run, None
        if status == "pruned":
            run.tags = (*(run.tags or ()), status)
        try:
            run.finish(exit_code=int(status not in ("finished", "pruned")))
            failure = _upload_failure(Path(run.settings.log_internal))
        except TimeoutError:
            failure = f"it took longer than finish_timeout_s={self._finish_timeout_s}"
        if failure is not None:
            warn_once(
                f"not all of the run is on W&B's server ({failure}): python runs.py sync --include-online uploads it"
            )

    def _start(self) -> "wandb.Run":
        import wandb

        record = self._run_directory.record()
        self._outputs_dir.mkdir(parents=True, exist_ok=True)
        self._refuse_full_disk()
        for folder in recordings(self._outputs_dir, self.version):
            # A kill leaves half a record at the end, past which `wandb sync` does not get.
            for file in folder.glob("*.wandb"):
                repair(file)
        arguments: dict[str, Any] = {
            "id": self.version,
            "resume": "allow",
            "name": f"{record['experiment']}/{self.version}",
            "project": self._project,
            "entity": self._entity,
            "group": record["sweep"],
            "job_type": "train",
            "tags": [record["experiment"], *record["tags"]],
            "notes": record["notes"],
            "dir": self._outputs_dir,
        }
        if "WANDB_SWEEP_ID" in os.environ:
            # Started by `wandb agent`, whose server knows this run by the id that it gave.
            arguments |= {"id": os.environ["WANDB_RUN_ID"], "group": None}
        mode = choose_mode()
        is_online = (mode or os.environ["WANDB_MODE"]) == "online"
        settings = wandb.Settings(
            silent=True,
            init_timeout=self._start_timeout_s,
            # What is written to the disk alone takes its time on a busy machine, but ends.
            finish_timeout=self._finish_timeout_s if is_online else _WRITE_TIMEOUT_S,
            finish_timeout_raises=True,
        )
        try:
            run = wandb.init(**arguments, mode=mode, settings=settings)
        except wandb.errors.Error as error:
            warn_once(f"W&B is not reached ({str(error).splitlines()[0]}); recording on disk, for runs.py sync")
            # What has failed keeps the id.
            wandb.teardown()
            run = wandb.init(**arguments, mode="offline", settings=settings)
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        return run

    def _refuse_full_disk(self) -> None:
        """Raise before W&B's own process meets a full disk: it dies of that, and later calls print tracebacks."""
        if shutil.disk_usage(self._outputs_dir).free < _LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, "No space left on device", str(self._outputs_dir))

    def _define(self, name: str) -> None:
        """The summary of a metric is its best value beside the last, where it is known which is better."""
        self._defined.add(name)
        direction = direction_of(name, self._config)
        if direction is not None:
            self.experiment.define_metric(name, step_metric=STEP, summary=f"{direction},last")

    def _is_of_this_start(self, folder: Path) -> bool:
        return Path(self.experiment.settings.sync_dir) == folder


def _upload_failure(log: Path) -> str | None:
    """What W&B's own process logged of an upload that it gave up, by a revoked key for one; it raises nothing."""
    for line in log.read_text().splitlines() if log.exists() else []:
        if "fatal error" in line:
            return str(json.loads(line)["msg"]).splitlines()[0]
    return None


def choose_mode() -> Literal["online", "offline"] | None:
    """Online with credentials and a server that answers, else offline; None leaves it to WANDB_MODE.

    Online without a network, W&B waits for a minute and a half and then raises.
    """
    if "WANDB_MODE" in os.environ:
        return None
    if not has_api_key():
        return "offline"
    if not _answers(base_url()):
        warn_once(f"W&B: {base_url()} does not answer; recording on disk, for runs.py sync")
        return "offline"
    return "online"


def _answers(url: str) -> bool:
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        # The proxy is asked, not the server.
        return True
    parts = urlsplit(url)
    try:
        address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        with socket.create_connection(address, timeout=_CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False
