"""The commands as a user types them, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import EXPERIMENTS

PROJECT = Path(__file__).resolve().parent.parent
SHORT = ["trainer.max_epochs=2", "trainer.limit_train_batches=4", "logger=none"]


def run(
    *arguments: str, cwd: Path = PROJECT, timeout_s: float = 120, **environment: str
) -> "subprocess.CompletedProcess[str]":
    script = [sys.executable, str(PROJECT / arguments[0]), *arguments[1:]]
    env = {**os.environ, **environment}
    return subprocess.run(script, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)


def show_last() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("runs.py", "show", "last", "--json").stdout)
    return shown


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_check_imports_no_torch_and_writes_nothing(experiment: str, tmp_path: Path) -> None:
    # A package of that name that cannot be imported stands before the real one.
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise AssertionError('torch was imported')")
    code = (
        "import sys, runpy; sys.argv = ['train.py', *sys.argv[1:]];"
        "import importlib.abc\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name not in ('torch', 'pytorch_lightning', 'torchvision', 'wandb'), name\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "runpy.run_path('train.py', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, f"experiment={experiment}", "check=true"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{experiment}: nothing wrong found\n"
    assert not Path(os.environ["FIRSTHAND_OUTPUTS"]).exists()


@pytest.mark.parametrize("program", ["train.py", "evaluate.py", "predict.py"])
def test_help_begins_with_what_the_command_does_and_examples(program: str) -> None:
    shown = run(program, "--help").stdout
    assert re.match(rf"[A-Z][^\n]+\.\n\n  python {program}", shown)
    assert "Compose your configuration from those groups" not in shown or program == "train.py"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["trainer.max_epoch=3"], "train.py: trainer.max_epoch is unknown; did you mean trainer.max_epochs?"),
        (["+trainer.max_epoch=3"], "command line: trainer.max_epoch is unknown; did you mean trainer.max_epochs?"),
        (["max_epochs=3"], "max_epochs is unknown; did you mean trainer.max_epochs?"),
        (["modle=vgg"], "modle is unknown; did you mean model?"),
        (["experiment=vgg_digit"], "there is no such experiment; did you mean vgg_digits?"),
        (["trainer.max_epochs=many"], "trainer.max_epochs='many' does not fit; it takes Optional[int]"),
        (["scheduler=step"], "conf/scheduler/step.yaml:3: scheduler.step_size must be given"),
        (["optim.lr=${rate}"], "optim.lr does not resolve: Interpolation key 'rate' not found"),
        (["optim.lr=[0.1"], "optim.lr=[0.1 is not an override"),
        (["model._target_=os.system"], "_target_=os.system is not allowed"),
        (["resume=last"], "there are no runs in"),
        (["experiment=null"], "a group takes the name of one of its options; to leave a group out write ~group"),
        (["seed=-5"], "seed=-5: a seed is a whole number from 0 to 4294967295"),
        (["trainer.precision=fp16x"], "trainer.precision='fp16x' does not fit; it takes one of 64, 32, 16"),
        (["data.batch_size=5000"], "asks for 5000 samples at once, but the training split has 1257"),
        (["--config-dir=elsewhere"], "configurations come from conf/ alone"),
        (["-m", "seed=1,2", "hydra/launcher=basic"], "-m starts its trials itself"),
        (["sweep.slots=2"], "sweep.slots=2 is about a sweep; add -m"),
        (["experiment=anogan_digits", "data.num_workers=0"], "data.num_workers is unknown here; other choices"),
        (["-m", "optim.lrr=1,2"], "optim.lrr is unknown; did you mean optim.lr?"),
        (["-m", "optim.lr=interval(0,1)"], "optim.lr=interval(0,1) has no end of values for a grid"),
        (["-m", "seed=1,2", "n_trials=3"], "n_trials= goes with sweep=optuna"),
        (["-m", "seed=1,2", "sweep.slots=0"], "sweep.slots=0 is too few; take 1 or more"),
        (["-m", "seed=1,2", "sweep.seeds=2"], "seed= has several values and sweep.seeds asks for more"),
        (["-m", "sweep=optuna", "optim.lr=interval(0,1)", "sweep.sampler=bayes"], "it takes one of tpe, cmaes, qmc"),
        (["-m", "seed=1,2", "sweep.resume=last"], "there are no sweeps in"),
        (["-m", "seed=1,2", "resume=last"], "resume= continues one run"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_one_line(arguments: list[str], answer: str) -> None:
    done = run("train.py", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert answer in line
    assert not any(Path(os.environ["FIRSTHAND_OUTPUTS"]).glob("vgg*"))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["evaluate.py"], "run must be given; add run=<value>"),
        (["evaluate.py", "run=last"], "there are no runs in"),
        (["evaluate.py", "run=last", "split=tset"], "split='tset' does not fit; it takes one of train, val, test"),
        (["predict.py", "run=last"], "there are no runs in"),
        (["runs.py", "show", "nothing"], "there are no runs in"),
    ],
)
def test_the_other_commands_refuse_in_one_line_too(command: list[str], answer: str) -> None:
    done = run(*command)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert answer in line


def test_a_run_is_trained_listed_evaluated_resumed_and_predicts(tmp_path: Path) -> None:
    # From another folder than the project's.
    trained = run("train.py", *SHORT, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    shown = show_last()
    assert shown["status"] == "finished"
    assert shown["config"]["trainer"]["max_epochs"] == 2
    assert {
        "id",
        "dir",
        "experiment",
        "seed",
        "wall_time_s",
        "num_epochs",
        "global_step",
        "git",
        "parent",
        "sweep",
    } <= shown.keys()
    for line in (
        f"python train.py resume={shown['id']}",
        "python runs.py show",
        "python train.py -m trainer.max_epochs=2",
    ):
        assert line in trained.stdout
    assert re.search(rf"test/accuracy +{shown['metrics']['test/accuracy']:.4f}", trained.stdout)

    evaluated = run("evaluate.py", "run=last")
    assert json.loads(evaluated.stdout)["metrics"]["test/loss"] == pytest.approx(
        shown["metrics"]["test/loss"], rel=1e-6
    )

    resumed = run("train.py", f"resume={shown['id']}", "trainer.max_epochs=3")
    assert resumed.returncode == 0, resumed.stderr
    assert (show_last()["id"], show_last()["num_epochs"]) == (shown["id"], 3)
    finished = run("train.py", "resume=last")
    assert finished.returncode == 2
    assert "is finished, at epoch 3 of 3; to train it longer add trainer.max_epochs=13" in finished.stderr
    changed = run("train.py", "resume=last", "optim.lr=0.5")
    assert changed.returncode == 2
    assert "train.py:   - optim.lr: 0.002\ntrain.py:   + optim.lr: 0.5\n" in changed.stderr

    digits = load_digits()
    (tmp_path / "digits").mkdir()
    for index in range(3):
        Image.fromarray((digits.images[index] * 15).astype(np.uint8)).save(tmp_path / "digits" / f"{index}.png")
    predicted = run("predict.py", "run=last", f"inputs={tmp_path / 'digits'}", f"output_dir={tmp_path / 'seen'}")
    assert predicted.returncode == 0, predicted.stderr
    entries = json.loads((tmp_path / "seen" / "predictions.json").read_text())["predictions"]
    assert [Path(entry["file"]).name for entry in entries] == ["0.png", "1.png", "2.png"]
    assert sum(entry["probability"] for entry in entries[0]["prediction"]["classes"]) <= 1 + 1e-6
    with Image.open(tmp_path / "seen" / "0.png") as picture:
        # The digit, where the network looked, and the classes.
        assert picture.size == (224 + 224 + 260, 224)
    (tmp_path / "digits" / "note.txt").write_text("no image")
    unreadable = run("predict.py", "run=last", f"inputs={tmp_path / 'digits'}")
    assert unreadable.returncode == 2
    assert "note.txt cannot be read as an image" in unreadable.stderr


def test_two_processes_write_one_run_and_report_a_single_ones_metrics() -> None:
    trained = run("train.py", "trainer=ddp_cpu", *SHORT)
    assert trained.returncode == 0, trained.stderr
    outputs = Path(os.environ["FIRSTHAND_OUTPUTS"])
    assert len(list(outputs.glob("vgg_digits/*"))) == 1
    shown = show_last()
    evaluated = json.loads(run("evaluate.py", "run=last").stdout)["metrics"]
    assert evaluated["test/accuracy"] == shown["metrics"]["test/accuracy"]
    assert evaluated["test/loss"] == pytest.approx(shown["metrics"]["test/loss"], rel=1e-5)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_its_own_exit_code_and_its_state_saved(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "train.py", "logger=none", "trainer.max_epochs=1000"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 1/"):
            break
    time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"{number.name} at step" in stderr
    shown = show_last()
    assert shown["status"] == "interrupted"
    assert (Path(shown["dir"]) / "checkpoints" / "last.ckpt").is_file()


def test_a_traceback_is_shown_with_debug() -> None:
    done = run("train.py", "debug=one_batch", "model.depth=12")
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize("debug", ["one_batch", "limit"])
def test_a_debug_configuration_runs_through(debug: str) -> None:
    done = run("train.py", f"debug={debug}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_experiment_reaches_its_accuracy(seed: int) -> None:
    done = run("train.py", "logger=none", f"seed={seed}", OMP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    assert show_last()["metrics"]["test/accuracy"] >= 0.98


@pytest.mark.parametrize("command", ["train.py", "evaluate.py", "predict.py", "runs.py"])
def test_a_python_without_the_packages_is_told_how_to_get_them(command: str) -> None:
    # Without its site-packages a Python has the standard library alone.
    done = subprocess.run(
        [sys.executable, "-S", command], cwd=PROJECT, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "has none of the project's packages; type `make setup` once" in done.stderr
    assert len(done.stderr.splitlines()) == 1
