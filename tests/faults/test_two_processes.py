"""The fault matrix, in runs of two processes: none of them hangs, is left over, or ends without a word."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experiment.run_directory import RunDirectory, find_run
from tests.faults.same_run import assert_same_run

PROJECT = Path(__file__).resolve().parents[2]
SHORT = [
    "trainer=ddp_cpu",
    "logger=none",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=8",
    "callbacks.checkpoints.every_n_steps=2",
]

pytestmark = pytest.mark.slow


def train(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROJECT / "tests" / "faults" / "faulty_train.py"), *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=180, check=False)


def processes_of(run: RunDirectory) -> list[str]:
    """Command lines of what still runs for it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = entry.read_bytes()
            state = (entry.parent / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            continue
        if f"FIRSTHAND_RUN_DIR={run.path}".encode() in environment and state != "Z":
            found.append((entry.parent / "cmdline").read_text())
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    outputs = tmp_path_factory.mktemp("whole")
    done = train(*SHORT, FIRSTHAND_OUTPUTS=str(outputs))
    assert done.returncode == 0, done.stderr
    return find_run("last", outputs)


@pytest.mark.parametrize(
    ("fault", "rank", "code", "said"),
    [
        ("kill", 1, 1, "rank 1 of 2 (process id {}) was killed by SIGKILL; continue with resume=last"),
        ("crash", 1, 1, "rank 1 of 2 (process id {}) failed with exit code 1: RuntimeError: a mistake in the model"),
        ("crash", 0, 1, "RuntimeError: a mistake in the model"),
        ("stop", 1, 1, "rank 1 of 2 (process id {}) has given no sign of life for"),
        ("kill", 0, -9, None),
        ("stop", 0, -9, "rank 0 of 2 has given no answer for 30 s: ended it; continue with resume=last"),
        ("terminate", 1, 143, "SIGTERM at step 6: state saved; continue with resume=last"),
        ("terminate", 0, 143, "SIGTERM at step 6: state saved; continue with resume=last"),
    ],
)
def test_a_fault_of_one_process_ends_the_run_and_names_it(
    fault: str, rank: int, code: int, said: str | None, whole: RunDirectory
) -> None:
    started = time.monotonic()
    broken = train(*SHORT, FAULT=fault, FAULT_RANK=str(rank))
    seconds = time.monotonic() - started
    assert broken.returncode == code, broken.stderr
    run = find_run("last", Path(os.environ["FIRSTHAND_OUTPUTS"]))
    record: dict[str, Any] = run.record()
    if said is not None:
        beginning, _, end = said.partition("{}")
        assert beginning in broken.stderr
        assert end in broken.stderr
    if code == 1:
        assert record["status"] == "failed"
        assert record["error"] in broken.stderr
    else:
        assert run.status() == "interrupted"
    if fault == "crash":
        assert "in crash" in run.log_file.read_text()
    for _ in range(50):
        if not processes_of(run):
            break
        time.sleep(0.1)
    assert processes_of(run) == []
    # Not a promise about time but about the half hour that gloo would wait.
    assert seconds < 170
    resumed = train("resume=last")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_run(run, whole)
