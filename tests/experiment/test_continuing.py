"""Which run goes on, with which configuration, and what may be changed of it."""

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig

from experiment.continuing import config_of_fork, config_of_resumed, run_to_resume
from experiment.failures import Refused
from experiment.run_directory import RunDirectory
from tests.conftest import compose


def make_run(outputs: Path, name: str, *overrides: str, status: str = "interrupted") -> RunDirectory:
    config = compose(*overrides)
    run = RunDirectory(outputs / "vgg_digits" / name)
    record = {"status": status, "experiment": "vgg_digits", "overrides": list(overrides), "pid": 1, "host": "there"}
    run.create(record, config, diff=None)
    run.unlock()
    return run


def resumed(run: RunDirectory, *overrides: str) -> DictConfig:
    return config_of_resumed(run, compose(*overrides), overrides)


def test_a_run_goes_on_with_its_own_configuration(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", "optim.lr=0.5", "data.batch_size=7")
    config = resumed(run)
    assert (config.optim.lr, config.data.batch_size) == (0.5, 7)


def test_what_the_run_was_started_with_may_be_said_again(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", "optim=sgd", "optim.lr=0.5")
    assert resumed(run, "optim=sgd", "optim.lr=0.5", "experiment=vgg_digits").optim.lr == 0.5


def test_a_run_may_be_made_longer(tmp_path: Path) -> None:
    assert resumed(make_run(tmp_path, "a"), "trainer.max_epochs=99").trainer.max_epochs == 99


def test_other_changes_are_refused_with_a_diff_and_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", "optim.lr=0.5")
    with pytest.raises(Refused) as refusal:
        resumed(run, "optim.lr=0.1", "seed=2", "trainer.max_epochs=99", "data.batch_size=64")
    assert str(refusal.value).splitlines() == [
        "the command line would change run a:",
        "  - optim.lr: 0.5",
        "  + optim.lr: 0.1",
        "  - seed: 1",
        "  + seed: 2",
        "leave that out to continue the run, allow it with 'resume.allow_changes=[optim.lr,seed]', or start a new run"
        " from its state with fork=a",
    ]


def test_changes_that_are_named_are_made(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    config = resumed(run, "optim.lr=0.1", "scheduler=constant", "resume.allow_changes=[optim,scheduler]")
    assert config.optim.lr == 0.1
    assert config.scheduler is None


def test_a_group_that_writes_everywhere_cannot_change_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    with pytest.raises(Refused, match=r"debug=limit cannot change another run's configuration; name the keys"):
        resumed(run, "debug=limit", "resume.allow_changes=[debug]")


def test_a_fork_takes_the_other_runs_configuration_and_the_changes(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", "optim.lr=0.5", "data.batch_size=7")
    config = config_of_fork(run, compose("optim.lr=0.1"), ["optim.lr=0.1"])
    assert (config.optim.lr, config.data.batch_size) == (0.1, 7)


def test_a_fork_into_another_experiment_takes_that_ones_configuration(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", "optim.lr=0.5")
    config = config_of_fork(run, compose("experiment=vgg_mnist"), ["experiment=vgg_mnist"])
    assert config.data._target_ == "datamodules.mnist.MNISTDataModule"
    assert config.optim.lr == 0.002


def auto(outputs: Path, *overrides: str) -> str | None:
    new_run = outputs / "vgg_digits" / "new"
    source = run_to_resume("auto", outputs, new_run=new_run, overrides=["resume.run=auto", *overrides])
    if source is None:
        return None
    source.run.unlock()
    return source.run.id


def test_auto_continues_the_newest_unfinished_run_of_the_same_command_line(tmp_path: Path) -> None:
    assert auto(tmp_path, "seed=2") is None
    make_run(tmp_path, "a", "seed=2")
    make_run(tmp_path, "b", "seed=2", "trainer.max_epochs=5", status="failed")
    make_run(tmp_path, "c", "seed=3")
    assert auto(tmp_path, "seed=2") == "b"
    assert auto(tmp_path, "seed=4") is None


def test_auto_starts_a_new_run_after_a_finished_one(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    make_run(tmp_path, "b", status="finished")
    assert auto(tmp_path) is None


def test_auto_continues_a_run_that_was_named_from_outside(tmp_path: Path) -> None:
    make_run(tmp_path, "new", "seed=9")
    assert auto(tmp_path, "seed=2") == "new"


def test_auto_gives_processes_that_are_started_later_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for status, expected in (("interrupted", str(tmp_path / "vgg_digits" / "a")), ("finished", "null")):
        monkeypatch.setattr(sys, "argv", ["train.py", "seed=1", "resume.run=auto"])
        run = make_run(tmp_path, "a") if status == "interrupted" else RunDirectory(tmp_path / "vgg_digits" / "a")
        run.update(status=status)
        auto(tmp_path)
        assert sys.argv == ["train.py", "seed=1", f"resume.run={expected}"]


def test_a_checkpoint_is_resumed_from_itself(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    (run.checkpoints / "epoch=0001-step=000002.ckpt").write_text("")
    (run.checkpoints / "best.ckpt").symlink_to("epoch=0001-step=000002.ckpt")
    source = run_to_resume(str(run.checkpoints / "best.ckpt"), tmp_path, new_run=tmp_path / "x", overrides=[])
    assert source is not None
    run.unlock()
    assert source.run.id == "a"
    assert source.checkpoint == run.checkpoints / "epoch=0001-step=000002.ckpt"


def test_a_malicious_saved_configuration_is_refused(tmp_path: Path) -> None:
    from experiment.entry import CONF_DIR
    from experiment.preflight import Origin, refuse_problems

    run = make_run(tmp_path, "a")
    text = (run.path / "config.yaml").read_text()
    marker = tmp_path / "was-here"
    bad = text.replace("datamodules.digits.DigitsDataModule", "pathlib.Path.touch").replace(
        "batch_size: 64", f"self: {json.dumps(str(marker))}"
    )
    assert bad != text
    (run.path / "config.yaml").write_text(bad)
    with pytest.raises(Refused, match=r"_target_=pathlib\.Path\.touch is not allowed"):
        refuse_problems(resumed(run), Origin(CONF_DIR, {}, []))
    assert not marker.exists()
