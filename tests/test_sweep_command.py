"""`python train.py -m`, as a user types it; what a trial does is real training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.test_command_line import PROJECT, SHORT, run


def start_sweep(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "train.py", "-m", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=1800, check=False)


def sweep_dir() -> Path:
    (file,) = Path(os.environ["FIRSTHAND_OUTPUTS"]).glob("*/*/sweep.json")
    return file.parent


def trials() -> list[dict[str, Any]]:
    records = [json.loads(file.read_text()) for file in (sweep_dir() / "trials").glob("*.json")]
    return sorted(records, key=lambda record: int(record["number"]))


def processes_of(folder: Path) -> list[str]:
    """Command lines of what runs with its outputs in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = os.fsencode(str(folder)) in (process / "environ").read_bytes()
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            continue
        if is_ours and state != "Z" and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text())
    return found


def test_a_grid_trains_every_point_and_goes_on_after_one_that_is_refused() -> None:
    # Hydra itself takes an override before -m for the whole command line.
    swept = run("train.py", *SHORT, "-m", "trainer.max_epochs=1", "model.depth=11,12,13")
    assert swept.returncode == 1, swept.stderr
    assert "depth=12: the paper has VGG-11" in swept.stdout
    rows = json.loads(run("runs.py", "ls", "--json").stdout)
    assert [(row["status"], row["overrides"][-1]) for row in rows] == [
        ("finished", "model.depth=11"),
        ("finished", "model.depth=13"),
    ]
    assert [trial["status"] for trial in trials()] == ["finished", "refused", "finished"]
    assert {row["sweep"] for row in rows} == {sweep_dir().name}
    assert rows[0]["dir"] == str(sweep_dir() / "0")
    assert rows[0]["objective"] == trials()[0]["objective"]
    content = json.loads((sweep_dir() / "sweep.json").read_text())
    assert content["status"] == "finished"
    assert content["failures"] == [{"trial": 1, "status": "refused", "error": trials()[1]["error"]}]
    assert (sweep_dir() / "report.html").is_file()


@pytest.mark.slow
def test_a_trial_is_the_run_that_its_command_line_would_be_alone() -> None:
    assert run("train.py", "-m", *SHORT, "seed=2,3").returncode == 0
    assert "nothing is left to run" in run("train.py", "-m", *SHORT, "seed=2,3").stdout
    assert run("train.py", *SHORT, "seed=3").returncode == 0
    _, trial, alone = json.loads(run("runs.py", "ls", "--json").stdout)
    assert alone["metrics"] == trial["metrics"]
    assert alone["overrides"] == trial["overrides"]


def test_a_sweep_of_which_every_point_is_refused_is_refused() -> None:
    swept = run("train.py", "-m", "logger=none", "model.depth=12,14")
    assert swept.returncode == 2
    assert [trial["status"] for trial in trials()] == ["refused", "refused"]


def test_a_check_of_a_sweep_checks_every_point_and_writes_nothing() -> None:
    done = run("train.py", "-m", "check=true", "trainer.max_epochs=1,two,3")
    assert done.returncode == 1
    assert done.stdout == "vgg_digits: nothing wrong found\n" * 2
    assert "trainer.max_epochs='two' does not fit" in done.stderr
    assert not Path(os.environ["FIRSTHAND_OUTPUTS"]).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sweep",
    [
        ["optim.lr=0.001,0.002"],
        ["sweep=optuna", "n_trials=2", "optim.lr=tag(log, interval(1e-4, 1e-2))", "sweep.enqueue_default=false"],
    ],
    ids=["grid", "optuna"],
)
def test_both_processes_of_a_trial_train_with_the_same_values(sweep: list[str], tmp_path: Path) -> None:
    swept = start_sweep("trainer=ddp_cpu", "trainer.max_epochs=2", "trainer.limit_train_batches=2", *sweep)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert [trial["status"] for trial in trials()] == ["finished", "finished"]
    # Values differ between the trials; processes with different ones would have ended them.
    assert len({trial["params"]["optim.lr"] for trial in trials()}) == 2
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    assert sorted(path.name for path in outputs.glob("vgg_digits/*/[0-9]*")) == ["0", "1"]
    assert len(list(outputs.glob("vgg_digits/*"))) == 1
    assert processes_of(outputs) == []


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
def test_a_trial_that_falls_behind_is_pruned_on_all_its_processes(trainer: str) -> None:
    swept = start_sweep(
        f"trainer={trainer}",
        "logger=none",
        "trainer.max_epochs=4",
        "trainer.limit_train_batches=8",
        "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1",
        "sweep=optuna",
        "n_trials=2",
        "sweep.pruner=asha",
        "sweep.enqueue_default=false",
        # Of the experiment's own space only this is left.
        "optim.weight_decay=0.05",
        "model.dropout=0.5",
        "data.degrees=10",
        "optim.lr=tag(log, interval(1e-7, 1e-1))",
        "sweep.enqueue=['optim.lr=0.002','optim.lr=1e-7']",
    )
    assert swept.returncode == 0, swept.stdout + swept.stderr
    (pruned,) = [trial for trial in trials() if trial["status"] == "pruned"]
    assert pruned["params"] == {"optim.lr": "1e-07"}
    record = json.loads((sweep_dir() / str(pruned["number"]) / "run.json").read_text())
    assert record["status"] == "pruned"
    assert record["num_epochs"] < 4
    assert processes_of(Path(os.environ["FIRSTHAND_OUTPUTS"])) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_sweep_leaves_no_process_and_goes_on_where_it_was(number: signal.Signals) -> None:
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    arguments = ["logger=none", "trainer.max_epochs=6", "trainer.limit_train_batches=4"]
    arguments += ["sweep=optuna", "n_trials=3", "optim.lr=tag(log, interval(1e-4, 1e-2))"]
    process = subprocess.Popen([sys.executable, "train.py", "-m", *arguments], cwd=PROJECT, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 600
    while time.monotonic() < end:
        time.sleep(0.05)
        if any(outputs.glob("vgg_digits/*/1/checkpoints/*.ckpt")):
            break
    process.send_signal(number)
    assert process.wait(timeout=30) == (130 if number is signal.SIGINT else -signal.SIGKILL)
    time.sleep(1)
    assert processes_of(outputs) == []
    first = json.loads((sweep_dir() / "0" / "run.json").read_text())

    continued = start_sweep(*arguments)
    assert continued.returncode == 0, continued.stdout + continued.stderr
    assert "continuing sweep" in continued.stdout
    broken = trials()
    assert [trial["status"] for trial in broken] == ["finished"] * 3
    assert json.loads((sweep_dir() / "0" / "run.json").read_text()) == first
    resumed = json.loads((sweep_dir() / "1" / "run.json").read_text())
    assert len(resumed["resumed"]) == 1

    whole = start_sweep(*arguments, "sweep.resume=never")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    newest = max(outputs.glob("vgg_digits/*/sweep.json"))
    expected = [json.loads((newest.parent / "trials" / f"{n}.json").read_text()) for n in range(3)]
    for name in ("params", "objective", "metrics"):
        assert [trial[name] for trial in broken] == [trial[name] for trial in expected]


@pytest.mark.slow
def test_a_preempted_job_gives_its_trial_back_and_it_goes_on_from_its_checkpoint() -> None:
    pytest.importorskip("submitit")
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    arguments = ["logger=none", "trainer.max_epochs=6", "trainer.limit_train_batches=4", "seed=1,2"]
    jobs = ["sweep/workers=slurm", "sweep.workers.cluster=local", "sweep.workers.host=127.0.0.1", "sweep.slots=1"]
    jobs += ["sweep.workers.parameters={timeout_min: 30}"]
    process = subprocess.Popen([sys.executable, "train.py", "-m", *arguments, *jobs], cwd=PROJECT)
    end = time.monotonic() + 300
    while time.monotonic() < end and not any(outputs.glob("vgg_digits/*/0/checkpoints/*.ckpt")):
        time.sleep(0.05)
    (job,) = [p for p in Path("/proc").glob("[0-9]*") if _is_job(p, outputs)]
    # What SLURM sends before it takes a machine away.
    os.kill(int(job.name), signal.SIGUSR2)
    assert process.wait(timeout=300) == 0
    assert processes_of(outputs) == []
    assert [trial["status"] for trial in trials()] == ["finished", "finished"]
    assert len(json.loads((sweep_dir() / "0" / "run.json").read_text())["resumed"]) == 1
    preempted = [trial["metrics"] for trial in trials()]

    assert start_sweep(*arguments, "sweep.resume=never").returncode == 0
    newest = max(outputs.glob("vgg_digits/*/sweep.json")).parent
    assert [json.loads((newest / "trials" / f"{n}.json").read_text())["metrics"] for n in range(2)] == preempted


def _is_job(process: Path, outputs: Path) -> bool:
    try:
        is_ours = os.fsencode(str(outputs)) in (process / "environ").read_bytes()
        return is_ours and b"submitit.core._submit" in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_trials_run_in_tasks_of_ray() -> None:
    pytest.importorskip("ray")
    swept = start_sweep(*SHORT, "seed=2,3", "sweep/workers=ray", "sweep.workers.host=127.0.0.1", "sweep.slots=1")
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert [trial["status"] for trial in trials()] == ["finished", "finished"]
    assert processes_of(Path(os.environ["FIRSTHAND_OUTPUTS"])) == []
