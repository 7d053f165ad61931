"""From the command line to an answer, and to the first optimisation step; whole processes."""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.measuring import Figure, compare
from experiment.entry import CONF_DIR

ROUNDS = 9
_FIRST_STEP = """
import os, runpy, sys
from pytorch_lightning.core.optimizer import LightningOptimizer
def stop(*args, **kwargs):
    os._exit(0)
LightningOptimizer.step = stop
sys.argv = ["train.py", "logger=none"]
runpy.run_path("train.py", run_name="__main__")
"""


def _process(*arguments: str) -> float:
    with tempfile.TemporaryDirectory() as outputs:
        environment = {**os.environ, "FIRSTHAND_OUTPUTS": outputs}
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments], cwd=CONF_DIR.parent, env=environment, check=True, capture_output=True
        )
        return time.perf_counter() - started


def measure() -> dict[str, list[Figure]]:
    """Seconds a process."""
    return {
        "start-up": compare(
            {
                "import torch, torchvision, pytorch_lightning": lambda: _process(
                    "-c", "import torch, torchvision, pytorch_lightning"
                ),
                "train.py to its first optimiser step": lambda: _process("-c", _FIRST_STEP),
                "train.py check=true": lambda: _process("train.py", "check=true"),
            },
            rounds=ROUNDS,
        )
    }
