"""Who starts workers on other machines: SLURM through submitit, or Ray."""

import importlib
import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from experiment.failures import Refused, in_one_line
from experiment.sweeps.fork_server import GRACE_S


class Job(Protocol):
    """One job that was submitted."""

    def is_done(self) -> bool:
        """Whether it has ended, and will not run again by itself."""

    def last_words(self) -> str:
        """Why it ended, as far as is known."""

    def cancel(self) -> None:
        """End it, or take it out of the queue; nothing if it has ended."""


class JobQueue(Protocol):
    """Runs commands on other machines."""

    def submit(self, command: list[str], environment: dict[str, str]) -> Job:
        """Have a command run in the present folder, with these variables besides the job's own."""

    def close(self) -> None:
        """Let go of the queue."""


def queue_of(options: dict[str, Any], folder: Path) -> JobQueue:
    """The queue that `conf/sweep/workers` describes.

    Raises:
        Refused: its package is missing, or does not know a parameter.
    """
    try:
        return RayQueue(options) if options["kind"] == "ray" else SubmititQueue(options, folder)
    except ImportError as error:
        raise Refused(f"sweep/workers={options['kind']} needs a package: pip install {error.name}") from error
    except Exception as error:
        raise Refused(f"sweep.workers: {in_one_line(error)}") from error


class WorkerJob:
    """What runs in a job of submitit, which stores it: the command, and what to do when the job is preempted."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._folder = str(Path.cwd())

    def __call__(self) -> int:
        self._process = subprocess.Popen(self._command, cwd=self._folder, env={**os.environ, **self._environment})
        # Not wait(): `checkpoint` is called from a signal's handler, and could not wait then.
        while self._process.poll() is None:
            time.sleep(0.2)
        return self._process.returncode

    def checkpoint(self) -> Any:
        """Let trials save their state; submitit then puts the same job into the queue again."""
        self._process.send_signal(signal.SIGTERM)
        end = time.monotonic() + GRACE_S + 5
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        submitit = importlib.import_module("submitit")
        return submitit.helpers.DelayedSubmission(WorkerJob(self._command, self._environment))


class _SubmititJob:
    def __init__(self, job: Any) -> None:
        self._job = job

    def is_done(self) -> bool:
        return bool(self._job.done())

    def last_words(self) -> str:
        lines = (self._job.stderr() or self._job.stdout() or "").strip().splitlines()
        return f"job {self._job.job_id} is {self._job.state}: {lines[-1] if lines else 'it printed nothing'}"

    def cancel(self) -> None:
        if not self.is_done():
            self._job.cancel()


class SubmititQueue:
    """Jobs of SLURM, or processes on this machine that behave like them."""

    def __init__(self, options: dict[str, Any], folder: Path) -> None:
        submitit = importlib.import_module("submitit")
        self._executor = submitit.AutoExecutor(folder=folder, cluster=options["cluster"])
        self._executor.update_parameters(**options["parameters"])

    def submit(self, command: list[str], environment: dict[str, str]) -> Job:
        return _SubmititJob(self._executor.submit(WorkerJob(command, environment)))

    def close(self) -> None:
        pass


class _RayJob:
    def __init__(self, ray: Any, task: Any) -> None:
        self._ray = ray
        self._task = task

    def is_done(self) -> bool:
        return bool(self._ray.wait([self._task], timeout=0)[0])

    def last_words(self) -> str:
        try:
            return f"a task of Ray ended with exit code {self._ray.get(self._task)}"
        except self._ray.exceptions.RayError as error:
            return in_one_line(error)

    def cancel(self) -> None:
        # The worker in it ends as its connection closes; a task that never started is taken from the queue.
        with suppress(self._ray.exceptions.RayError):
            self._ray.cancel(self._task, force=False)


class RayQueue:
    """Tasks of Ray; one that loses its machine is run again by Ray itself."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._ray = importlib.import_module("ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray.init(
            address=options["address"], log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING
        )
        self._run: Any = self._ray.remote(max_retries=-1, **options["parameters"])(_run_in_folder)
        self._folder = str(Path.cwd())

    def submit(self, command: list[str], environment: dict[str, str]) -> Job:
        return _RayJob(self._ray, self._run.remote(command, environment, self._folder))

    def close(self) -> None:
        self._ray.shutdown()


def _run_in_folder(command: list[str], environment: dict[str, str], folder: str) -> int:
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode
