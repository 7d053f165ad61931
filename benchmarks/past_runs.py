"""How long `runs.py` takes over a thousand runs; whole processes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measuring import Figure, compare
from experiment.entry import CONF_DIR

ROUNDS = 5
NUM_RUNS = 1000
_COMMANDS = ("ls", "ls val/accuracy>0.5 --sort val/accuracy", "ls optim.lr=0.01", "best val/accuracy", "seeds")
# About as long as the default experiment's.
_NUM_KEYS = 110


def _make_runs(outputs: Path) -> None:
    config = "seed: {seed}\nobjective: val/accuracy\nobjective_mode: max\noptim:\n  lr: 0.01\nmodel:\n"
    config += "".join(f"  key_{index}: {index}\n" for index in range(_NUM_KEYS))
    for index in range(NUM_RUNS):
        folder = outputs / "vgg_digits" / f"20260101-000000-{index:08x}"
        folder.mkdir(parents=True)
        for name in ("config.yaml", "config.resolved.yaml"):
            (folder / name).write_text(config.format(seed=index))
        rows = [
            {"step": step, "epoch": step, "metrics": {"val/accuracy": step / index}} for step in range(1, index, 20)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        record = {
            "id": folder.name,
            "experiment": "vgg_digits",
            "status": "finished",
            "seed": index,
            "started": "2026-01-01T00:00:00+00:00",
            "overrides": [f"seed={index}"],
            "metrics": {"val/accuracy": index / NUM_RUNS, "test/accuracy": index / NUM_RUNS},
            "tags": [],
            "sweep": None,
            "num_epochs": 10,
            "wall_time_s": 10.0,
            "git": {"sha": "0" * 40, "is_dirty": False},
            "data_fingerprint": "0",
            "versions": {f"package {number}": "1.2.3" for number in range(10)},
        }
        (folder / "run.json").write_text(json.dumps(record, indent=1))


def _seconds(command: str, outputs: Path) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "runs.py", *command.split()],
        cwd=CONF_DIR.parent,
        env={**os.environ, "FIRSTHAND_OUTPUTS": str(outputs)},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def measure() -> dict[str, list[Figure]]:
    """Seconds a command."""
    with tempfile.TemporaryDirectory() as temporary:
        outputs = Path(temporary)
        _make_runs(outputs)
        return {
            f"runs.py over {NUM_RUNS} runs": compare(
                {command: partial(_seconds, command, outputs) for command in _COMMANDS}, rounds=ROUNDS
            )
        }
