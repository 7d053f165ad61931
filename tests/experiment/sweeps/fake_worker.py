"""`python -m tests.experiment.sweeps.fake_worker <contact file>`: a worker whose trials note that they ran, and wait.

A trial named `x=kills` ends its worker by SIGKILL, one named `x=once` only the first time.
"""

import json
import os
import signal
import sys
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path

from experiment.sweeps.fork_server import Server, TrialRequest
from experiment.sweeps.trial_records import Outcome


def main(contact_file: Path) -> None:
    contact = json.loads(contact_file.read_text())
    sweep = Client((contact["host"], contact["port"]), authkey=bytes.fromhex(contact["key"]))
    worker = os.getpid()
    calls = contact_file.parent / "calls"

    def trial(request: TrialRequest, connection: Connection) -> None:
        (override,) = request.overrides
        is_first = override not in (calls.read_text() if calls.exists() else "")
        with calls.open("a") as stream:
            stream.write(f"{override}\n")
        if override == "x=kills" or (override == "x=once" and is_first):
            os.kill(worker, signal.SIGKILL)
            time.sleep(60)
        connection.send(Outcome("finished", 1.0, metrics={}, error=None))

    Server(sweep, trial).run(sweep.recv)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
