"""Trials on other machines: whatever becomes of a worker, its trial runs on another one, or it is said why not."""

import json
import socket
import stat
import subprocess
import sys
from contextlib import closing
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from experiment.entry import CONF_DIR, WORKER_VARIABLE
from experiment.sweeps.fork_server import ServerLost
from experiment.sweeps.job_queues import Job, queue_of
from experiment.sweeps.scheduler import Plan, Scheduler
from experiment.sweeps.slots import Slot
from experiment.sweeps.trial_records import TrialRecord, TrialRecords
from experiment.sweeps.worker_pool import WorkerPool
from tests.experiment.sweeps.fake_trials import grid


class ProcessJob:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def is_done(self) -> bool:
        return self.process.poll() is not None

    def last_words(self) -> str:
        return f"exit code {self.process.wait()}"

    def cancel(self) -> None:
        self.process.kill()


class ProcessQueue:
    """Workers as processes of this machine; jobs of a broken one end at once."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.is_broken = is_broken
        self.jobs: list[ProcessJob] = []

    def submit(self, command: list[str], environment: dict[str, str]) -> Job:
        module = ["-c", "exit(3)"] if self.is_broken else ["-m", "tests.experiment.sweeps.fake_worker"]
        contact = environment[WORKER_VARIABLE]
        self.jobs.append(ProcessJob(subprocess.Popen([sys.executable, *module, contact], cwd=CONF_DIR.parent)))
        return self.jobs[-1]

    def close(self) -> None:
        for job in self.jobs:
            job.process.wait(timeout=20)


@pytest.fixture(autouse=True)
def looks_at_jobs_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.sweeps.worker_pool._LOOKS_AT_JOBS_EVERY_S", 0.1)


def a_pool(tmp_path: Path, queue: ProcessQueue, *, num_workers: int) -> WorkerPool:
    return WorkerPool(queue, num_workers=num_workers, folder=tmp_path / "workers", host="127.0.0.1", settings={})


def run_on_workers(tmp_path: Path, *values: str, num_workers: int) -> tuple[list[TrialRecord], list[str]]:
    records = TrialRecords(tmp_path)
    plan = Plan(fixed=[], seeds=[], environment={}, timeout_s=None, retries_failed=False)
    queue = ProcessQueue()
    pool = a_pool(tmp_path, queue, num_workers=num_workers)
    slots = [Slot(number, {}) for number in range(num_workers)]
    try:
        source = grid(f"x={','.join(values)}")
        assert Scheduler(source, pool, records, slots=slots, plan=plan, tell=lambda record: None).run() is None
    finally:
        pool.close()
    assert all(job.is_done() for job in queue.jobs)
    return list(records), (tmp_path / "workers" / "calls").read_text().splitlines()


def test_every_trial_runs_once_and_no_worker_is_left(tmp_path: Path) -> None:
    records, calls = run_on_workers(tmp_path, "a", "b", "c", "d", num_workers=2)
    assert [record.status for record in records] == ["finished"] * 4
    assert sorted(calls) == ["x=a", "x=b", "x=c", "x=d"]


def test_a_trial_whose_worker_is_gone_runs_on_another(tmp_path: Path) -> None:
    records, calls = run_on_workers(tmp_path, "once", "b", num_workers=1)
    assert [record.status for record in records] == ["finished", "finished"]
    assert calls == ["x=once", "x=once", "x=b"]


def test_a_trial_that_ends_every_worker_is_given_up(tmp_path: Path) -> None:
    records, calls = run_on_workers(tmp_path, "kills", "b", num_workers=2)
    assert [record.status for record in records] == ["killed", "finished"]
    assert calls.count("x=kills") == 4


def test_jobs_that_end_before_they_reach_the_sweep_end_it(tmp_path: Path) -> None:
    pool = a_pool(tmp_path, ProcessQueue(is_broken=True), num_workers=1)

    def wait_for_workers() -> None:
        while True:
            pool.events(timeout_s=0.05)

    with (
        closing(pool),
        pytest.raises(ServerLost, match=r"4 jobs of the sweep .* reached it; exit code 3"),
    ):
        wait_for_workers()


def test_only_who_has_the_key_is_given_trials(tmp_path: Path) -> None:
    pool = a_pool(tmp_path, ProcessQueue(is_broken=True), num_workers=1)
    try:
        file = tmp_path / "workers" / "contact.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        port = pool.address[1]
        with pytest.raises(AuthenticationError):
            Client(("127.0.0.1", port), authkey=b"guessed")
        # One that says nothing, and one that takes the port for a web server.
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            pool.events(timeout_s=0.05)
            assert pool.num_workers == 0
            contact = json.loads(file.read_text())
            with Client(("127.0.0.1", port), authkey=bytes.fromhex(contact["key"])) as worker:
                while pool.num_workers == 0:
                    pool.events(timeout_s=0.05)
                assert worker.recv() == {}
    finally:
        pool.close()
    assert not file.exists()


def test_what_the_queue_does_not_know_is_refused(tmp_path: Path) -> None:
    options = {"kind": "submitit", "cluster": "local", "parameters": {"timeout_minutes": 3}}
    with pytest.raises(Exception, match="timeout_minutes"):
        queue_of(options, tmp_path)
