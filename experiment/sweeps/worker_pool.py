"""The sweep's side of workers on other machines: hands trials to those that are there."""

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections import deque
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from experiment.entry import WORKER_VARIABLE
from experiment.sweeps.fork_server import Event, ServerLost, TrialRequest
from experiment.sweeps.job_queues import Job, JobQueue
from experiment.sweeps.worker import Contact

# Jobs that end before they have reached the sweep are replaced, so many times as there are workers.
_MAX_REPLACEMENTS = 3
_LOOKS_AT_JOBS_EVERY_S = 5.0
# What a job may take to end by itself when its sweep has.
_ENDS_WITHIN_S = 5.0


class WorkerPool:
    """Trials on the workers that a queue of jobs has started, see `TrialServer`."""

    def __init__(self, queue: JobQueue, *, num_workers: int, folder: Path, host: str | None, settings: Any) -> None:
        """Listen, and ask for the jobs.

        Args:
            folder: for what the jobs print, and the file by which they find this process.
            host: the name under which they reach this machine; None: its host name.
            settings: of the trials; workers import what these need.
        """
        folder.mkdir(exist_ok=True)
        self._queue = queue
        self._num_wanted = num_workers
        self._settings = settings
        key = secrets.token_bytes(32)
        self._key = key
        self._is_closing = False
        # Without the key here: strangers are met in threads of their own.
        self._listener = Listener(("", 0), backlog=num_workers)
        self._contact = folder / "contact.json"
        Contact(host or socket.gethostname(), self.address[1], key.hex()).write(self._contact)
        self._arrivals: SimpleQueue[Connection] = SimpleQueue()
        threading.Thread(target=self._accept, daemon=True).start()
        # The trial that each worker runs.
        self._workers: dict[Connection, int | None] = {}
        self._waiting: deque[TrialRequest] = deque()
        self._events: list[Event] = []
        self._jobs: list[Job] = []
        self._num_ended = self._num_arrived = 0
        self._next_look = 0.0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.address
        return str(host), int(port)

    @property
    def num_workers(self) -> int:
        """Those that are connected."""
        return len(self._workers)

    def start(self, request: TrialRequest) -> None:
        self._waiting.append(request)
        self._give_out()

    def signal(self, number: int, signum: signal.Signals) -> None:
        for request in list(self._waiting):
            if request.number == number:
                self._waiting.remove(request)
                self._events.append(Event("ended", number, int(signum)))
        self._send(number, ("signal", number, signum))

    def answer(self, number: int, content: object) -> None:
        self._send(number, ("answer", number, content))

    def events(self, *, timeout_s: float) -> list[Event]:
        self._look_at_jobs()
        with contextlib.suppress(Empty):
            while True:
                worker = self._arrivals.get_nowait()
                self._workers[worker] = None
                self._num_arrived += 1
                with contextlib.suppress(OSError):
                    worker.send(self._settings)
        self._give_out()
        for ready in wait(list(self._workers), timeout=0 if self._events else timeout_s):
            assert isinstance(ready, Connection)
            self._receive(ready)
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        self._is_closing = True
        # A worker ends, and kills its trials, when its connection does.
        for worker in self._workers:
            worker.close()
        self._contact.unlink(missing_ok=True)
        self._listener.close()
        end = time.monotonic() + _ENDS_WITHIN_S
        while time.monotonic() < end and not all(job.is_done() for job in self._jobs):
            time.sleep(0.1)
        for job in self._jobs:
            # One that cannot be cancelled must not keep the others.
            with contextlib.suppress(Exception):
                job.cancel()
        self._queue.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                if self._is_closing:
                    return
                continue
            # One that says nothing keeps nobody else waiting.
            threading.Thread(target=self._welcome, args=(connection,), daemon=True).start()

    def _welcome(self, connection: Connection) -> None:
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
        except (AuthenticationError, EOFError, OSError):
            # Somebody else; a worker would try again.
            connection.close()
            return
        _notice_lost_machines(connection)
        self._arrivals.put(connection)

    def _give_out(self) -> None:
        for worker, number in self._workers.items():
            if number is None and self._waiting:
                request = self._waiting.popleft()
                self._workers[worker] = request.number
                # If it is gone, reading from it tells.
                with contextlib.suppress(OSError):
                    worker.send(("start", request))

    def _receive(self, worker: Connection) -> None:
        try:
            event: Event = worker.recv()
        except (EOFError, OSError):
            number = self._workers.pop(worker)
            worker.close()
            if number is not None:
                self._events.append(Event("lost", number, None))
            return
        if event.kind == "ended":
            self._workers[worker] = None
        self._events.append(event)

    def _send(self, number: int, message: object) -> None:
        for worker, running in self._workers.items():
            if running == number:
                with contextlib.suppress(OSError):
                    worker.send(message)

    def _look_at_jobs(self) -> None:
        """Keep as many jobs in the queue as workers were asked for."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOKS_AT_JOBS_EVERY_S
        ended = [job for job in self._jobs if job.is_done()]
        self._jobs = [job for job in self._jobs if job not in ended]
        # Those beyond the workers that came never did any work.
        self._num_ended += len(ended)
        num_failed = self._num_ended - self._num_arrived
        if num_failed >= self._num_wanted * (1 + _MAX_REPLACEMENTS):
            if self._workers:
                return
            last_words = ended[-1].last_words() if ended else "see the sweep's workers/"
            raise ServerLost(f"{num_failed} jobs of the sweep have ended before they reached it; {last_words}")
        while len(self._jobs) < self._num_wanted:
            environment = {WORKER_VARIABLE: str(self._contact)}
            self._jobs.append(self._queue.submit([sys.executable, sys.argv[0]], environment))


def _notice_lost_machines(connection: Connection) -> None:
    """Have the kernel ask every 10 s whether the other end still lives: a machine without power closes nothing."""
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
