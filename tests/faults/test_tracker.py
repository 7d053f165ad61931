"""A tracker never stands between a run and its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.run_directory import find_run

PROJECT = Path(__file__).resolve().parents[2]
SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=3", "trainer.limit_val_batches=1"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["unreachable", "read-only"])
def test_a_run_goes_on_without_its_tracker(fault: str) -> None:
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    outputs.mkdir()
    environment = {
        **os.environ,
        "WANDB_MODE": "online",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_BASE_URL": "http://127.0.0.1:9",
    }
    if fault == "read-only":
        # A file where the tracker wants a folder: root may write into any folder.
        (outputs / "wandb").write_text("")
        environment = {**os.environ, "WANDB_MODE": "offline"}
    command = [sys.executable, "train.py", *SHORT]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    warnings = [line for line in done.stdout.splitlines() if "wandb" in line or "W&B" in line]
    assert len(warnings) == 1, done.stdout
    assert find_run("last", outputs).status() == "finished"
