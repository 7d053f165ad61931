"""A server of trials on another machine: `train.py`, started there by SLURM or Ray, speaks with its sweep by a socket.

It finds the sweep by a file that only its owner may read: host, port, and the key with which both prove who they are
(multiprocessing.connection's HMAC). Machines share the project's folder and the outputs at the same paths.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from experiment.sweeps.fork_server import Server
from experiment.sweeps.trial import import_once, single_run

_CONNECTS_WITHIN_S = 60.0


class Contact(NamedTuple):
    """Where a sweep is to be reached; the key is hexadecimal."""

    host: str
    port: int
    key: str

    def write(self, file: Path) -> None:
        """Keep it where its owner alone can read it."""
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(self._asdict(), stream)
        part.replace(file)


def serve(file: Path, task: Callable[[Any], Any], *, config_name: str) -> NoReturn:
    """Run trials for the sweep of a contact file until it ends, or this machine is taken away (SIGTERM).

    Args:
        task: what a single run does with its configuration.
    """
    sweep = _connect(file)
    # A trial takes the devices that this job was given, as if it had been started by hand; not one a task of SLURM's.
    os.environ["SLURM_JOB_NAME"] = "interactive"
    server = Server(sweep, single_run(task, config_name=config_name))

    def prepare() -> None:
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, server.leave)
        import_once(sweep.recv())

    server.run(prepare)


def _connect(file: Path) -> Connection:
    """Try for a minute: a job may run again just as its sweep is being continued."""
    end = time.monotonic() + _CONNECTS_WITHIN_S
    while True:
        try:
            contact = Contact(**json.loads(file.read_text()))
            return Client((contact.host, contact.port), authkey=bytes.fromhex(contact.key))
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"the sweep of {file} was not to be reached: {error}; set sweep.workers.host to its address")
            time.sleep(1)
