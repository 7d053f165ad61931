"""train.py with a fault in one process of the run: FAULT names it, FAULT_RANK the process."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiment.entry import run_command
from tests.faults import faults
from train import train

FAULTS = {
    "kill": faults.kill,
    "stop": faults.sending(signal.SIGSTOP),
    "terminate": faults.sending(signal.SIGTERM),
    "crash": faults.crash,
}


def faulty_train(config: Any) -> float | None:
    """A run in which a fault happens within the sixth batch."""
    if fault := os.environ.get("FAULT"):
        faults.at_batch(5, FAULTS[fault], rank=int(os.environ["FAULT_RANK"]))
    return train(config)


if __name__ == "__main__":
    run_command(faulty_train, config_name="train")
