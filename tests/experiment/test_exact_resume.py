"""A run that goes on from a checkpoint is the run that was never interrupted, whatever the trainer's settings."""

import signal

import pytest
import torch

from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.failures import RunFailed, RunInterrupted
from experiment.run_directory import RunDirectory
from tests.conftest import MakeRequest
from tests.interruptions import build_with_action_at

SHORT = (
    "trainer.log_every_n_steps=1",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=6",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=4",
)
SETTINGS = [
    (),
    ("trainer.accumulate_grad_batches=2",),
    ("trainer.accumulate_grad_batches=4",),
    ("trainer.val_check_interval=2",),
    ("trainer.check_val_every_n_epoch=2",),
    ("trainer.max_steps=9", "trainer.max_epochs=3"),
    ("trainer.precision=bf16-mixed",),
    ("trainer.precision=64-true",),
    ("trainer.precision=bf16-true",),
    ("scheduler=step", "scheduler.step_size=2"),
    ("data.num_workers=2",),
    ("callbacks.checkpoints.every_n_epochs=null",),
    ("trainer.max_epochs=9", "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1.0"),
    ("trainer.limit_val_batches=0", "callbacks.early_stopping=null", "objective=train/loss"),
]


def _crash() -> None:
    raise RuntimeError("crash")


def _interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def _assert_same(found: RunDirectory, expected: RunDirectory) -> None:
    ours, theirs = (load_checkpoint(run.checkpoints / "last.ckpt") for run in (found, expected))
    assert ours["global_step"] == theirs["global_step"]
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    assert found.metric_rows() == expected.metric_rows()
    assert found.record()["metrics"] == expected.record()["metrics"]
    best = [(run.checkpoints / "best.ckpt").resolve().name for run in (found, expected)]
    assert best[0] == best[1]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: ",".join(settings) or "default")
def test_a_run_interrupted_again_and_again_is_the_same(
    settings: tuple[str, ...], make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_request(*SHORT, *settings)
    training.run_training(whole)
    broken = make_request(*SHORT, *settings)
    resumed = broken
    # In the middle of an epoch, and at its last batch.
    for batch in (2, 5, 8):
        with monkeypatch.context() as patched:
            patched.setattr(training, "_build", build_with_action_at(batch, _interrupt))
            with pytest.raises(RunInterrupted, match="state saved"):
                training.run_training(resumed)
        resumed = make_request(resumed=broken.run)
    training.run_training(resumed)
    _assert_same(broken.run, whole.run)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: ",".join(settings) or "default")
def test_a_run_that_crashed_after_its_last_checkpoint_is_the_same(
    settings: tuple[str, ...], make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = "callbacks.checkpoints.every_n_steps=1"
    whole = make_request(*SHORT, *settings, saving)
    training.run_training(whole)
    broken = make_request(*SHORT, *settings, saving)
    resumed = broken
    for batch in (5, 7, 8):
        with monkeypatch.context() as patched:
            patched.setattr(training, "_build", build_with_action_at(batch, _crash))
            with pytest.raises(RunFailed, match="crash"):
                training.run_training(resumed)
        resumed = make_request(resumed=broken.run)
    training.run_training(resumed)
    _assert_same(broken.run, whole.run)
