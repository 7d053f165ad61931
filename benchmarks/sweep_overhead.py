"""What a trial of a sweep costs beyond its training: `python -m benchmarks.sweep_overhead`.

The same single-device trainings of a few steps three ways: called one after the other in a process that has imported
everything; forked by our server; and each in a fresh interpreter.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Before torch is imported: comparisons run on one thread.
os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.measuring import Figure
from experiment.entry import CONF_DIR
from experiment.sweeps.search_space import SearchSpace

NUM_TRIALS = 8
SETTINGS = ["logger=none", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1"]
SETTINGS += ["trainer.limit_test_batches=1"]
_IN_PROCESS = """
import json, sys, time
import experiment.training, lightning_modules.vgg.module, datamodules.digits
from hydra.core.global_hydra import GlobalHydra
from experiment.entry import run_command
from train import train
seconds = []
for seed in range(1, {num_trials} + 2):
    sys.argv = ["train.py", *{settings}, f"seed={{seed}}"]
    started = time.perf_counter()
    try:
        run_command(train, config_name="train")
    except SystemExit as end:
        assert not end.code
    seconds.append(time.perf_counter() - started)
    GlobalHydra.instance().clear()
print(json.dumps(seconds[1:]))
"""


def _run(*arguments: str, outputs: str) -> str:
    environment = {**os.environ, "FIRSTHAND_OUTPUTS": outputs}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=CONF_DIR.parent, env=environment, check=True, capture_output=True, text=True
    ).stdout


def in_process() -> list[float]:
    """Seconds a training; the first one, which pays for lazy imports, is left out."""
    with tempfile.TemporaryDirectory() as outputs:
        printed = _run("-c", _IN_PROCESS.format(num_trials=NUM_TRIALS, settings=SETTINGS), outputs=outputs)
    seconds: list[float] = json.loads(printed.splitlines()[-1])
    return seconds


def forked() -> list[float]:
    """Seconds a trial, from the sweep's request to the end of its process."""
    seeds = ",".join(str(seed) for seed in range(1, NUM_TRIALS + 1))
    with tempfile.TemporaryDirectory() as outputs:
        _run("train.py", "-m", *SETTINGS, f"seed={seeds}", outputs=outputs)
        files = Path(outputs).glob("*/*/trials/*.json")
        return [json.loads(file.read_text())["seconds"] for file in files]


def fresh_interpreter() -> list[float]:
    """Seconds a process."""
    seconds = []
    for seed in (1, 2, 3):
        with tempfile.TemporaryDirectory() as outputs:
            started = time.perf_counter()
            _run("train.py", *SETTINGS, f"seed={seed}", outputs=outputs)
            seconds.append(time.perf_counter() - started)
    return seconds


def grid_expansion() -> float:
    """Seconds to parse and expand a grid of 1,000 points."""
    started = time.perf_counter()
    points = list(SearchSpace(["a=range(10)", "b=range(10)", "c=range(10)"], {}, loader=None).grid())
    assert len(points) == 1000
    return time.perf_counter() - started


def measure() -> dict[str, list[Figure]]:
    """Seconds a trial, and its ratio to the bare training."""
    training = statistics.median(in_process())
    trials = {
        "training alone, everything imported": training,
        "trial of a sweep": statistics.median(forked()),
        "training in a fresh interpreter": statistics.median(fresh_interpreter()),
    }
    expansion = grid_expansion()
    return {
        "a trial of a sweep": [
            Figure(variant=name, median_s=seconds, ratio=seconds / training) for name, seconds in trials.items()
        ],
        "expansion of a grid of 1,000 points": [Figure(variant="once", median_s=expansion, ratio=1.0)],
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
