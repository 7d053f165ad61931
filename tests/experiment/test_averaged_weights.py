"""The mean of the weights over steps: what it is, where it is used, and who is refused."""

import re
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from experiment import training
from experiment.callbacks.averaged_weights import AveragedWeights
from experiment.checkpoints import load_checkpoint
from experiment.failures import Refused, RunInterrupted
from experiment.restoring import restore
from tests.conftest import MakeRequest
from tests.interruptions import build_interrupted_at, build_with

DECAY = "callbacks.averaged_weights.decay=0.3"
SHORT = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=8",
)


def _values(model: pl.LightningModule) -> dict[str, Tensor]:
    values = (*model.named_parameters(), *model.named_buffers())
    return {name: value.detach().clone() for name, value in values}


class Notes(pl.Callback):
    """Weights after every step, of every validation and of the test."""

    def __init__(self) -> None:
        self.start: dict[str, Tensor] = {}
        self.steps: list[dict[str, Tensor]] = []
        self.validations: list[dict[str, Tensor]] = []
        self.tests: list[dict[str, Tensor]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = _values(pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        if trainer.global_step > len(self.steps):
            self.steps.append(_values(pl_module))

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.validations.append(_values(pl_module))

    def on_test_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        self.tests.append(_values(pl_module))


def _mean(notes: Notes, num_steps: int, decay: float) -> dict[str, Tensor]:
    """Step by step, in float64; whole numbers are the last step's."""
    mean = {name: value.double() for name, value in notes.start.items()}
    for step, values in enumerate(notes.steps[:num_steps]):
        share = min(decay, (1 + step) / (10 + step))
        for name, value in values.items():
            mean[name] = share * mean[name] + (1 - share) * value if value.is_floating_point() else value.double()
    return mean


@pytest.mark.parametrize("accumulated", [1, 2])
def test_validation_sees_the_mean_over_steps_and_training_goes_on_without_it(
    accumulated: int, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, plain = Notes(), Notes()
    for noted, words in ((notes, [DECAY]), (plain, [])):
        with monkeypatch.context() as patched:
            patched.setattr(training, "_build", build_with(noted))
            training.run_training(make_request(*SHORT, f"trainer.accumulate_grad_batches={accumulated}", *words))
    per_epoch = 4 // accumulated
    assert len(notes.steps) == 2 * per_epoch
    for epoch, seen in enumerate(notes.validations, start=1):
        for name, value in _mean(notes, epoch * per_epoch, 0.3).items():
            torch.testing.assert_close(seen[name].double(), value, atol=1e-6, rtol=1e-5)
    for ours, theirs in zip(notes.steps, plain.steps, strict=True):
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_the_best_checkpoint_is_tested_and_restored_with_the_weights_that_were_validated(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(training, "_build", build_with(notes))
    request = make_request(*SHORT, DECAY, "trainer.max_epochs=1")
    training.run_training(request)
    restored = restore({"run": "last", "checkpoint": "best"}, request.run).model
    last_step = notes.steps[-1]
    for name, parameter in restored.named_parameters():
        assert torch.equal(parameter, notes.validations[-1][name])
        assert torch.equal(parameter, notes.tests[-1][name])
        assert not torch.equal(parameter, last_step[name])


def test_a_run_that_validates_nothing_is_tested_with_the_mean(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(training, "_build", build_with(notes))
    words = ("trainer.limit_val_batches=0", "callbacks.early_stopping=null", "callbacks.checkpoints.monitor=null")
    training.run_training(make_request(*SHORT, DECAY, *words, "objective=test/loss", "objective_mode=min"))
    for name, value in _mean(notes, len(notes.steps), 0.3).items():
        torch.testing.assert_close(notes.tests[-1][name].double(), value, atol=1e-6, rtol=1e-5)


def test_weights_that_do_not_move_stay_the_same_to_the_last_bit(make_request: MakeRequest) -> None:
    request = make_request(*SHORT, "callbacks.averaged_weights.decay=0.9", "optim.lr=0.0", "optim.weight_decay=0.0")
    training.run_training(request)
    checkpoint = load_checkpoint(request.run.checkpoints / "last.ckpt")
    of_training = checkpoint["weights_of_training"]
    parameters = [name for name in of_training if name.endswith((".weight", ".bias"))]
    assert parameters
    assert all(torch.equal(of_training[name], checkpoint["state_dict"][name]) for name in parameters)


def test_a_run_that_is_started_from_the_full_state_of_one_without_averages_begins_with_its_weights(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(*SHORT)
    with monkeypatch.context() as patched:
        patched.setattr(training, "_build", build_interrupted_at(4))
        with pytest.raises(RunInterrupted):
            training.run_training(request)
    resumed, notes = make_request(resumed=request.run), Notes()
    resumed.settings["callbacks"]["averaged_weights"]["decay"] = 0.3
    monkeypatch.setattr(training, "_build", build_with(notes))
    training.run_training(resumed)
    before = load_checkpoint(request.run.checkpoints / "last.ckpt")
    assert "weights_of_training" in before
    notes.steps = notes.steps[-3:]
    for name, value in _mean(notes, 3, 0.3).items():
        torch.testing.assert_close(notes.validations[-1][name].double(), value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("trainer.precision=bf16-true", DECAY), "in bf16-true a mean has too few digits to move"),
        (
            ("+callbacks.mean={_target_: pytorch_lightning.callbacks.EMAWeightAveraging, decay: 0.9}",),
            "has the test after training score the weights of the last step; set callbacks.averaged_weights.decay",
        ),
        (("callbacks.averaged_weights.decay=1.5",), "decay=1.5: between 0 and 1"),
    ],
)
def test_averages_that_would_be_none_are_refused(
    words: tuple[str, ...], reason: str, make_request: MakeRequest
) -> None:
    with pytest.raises(Refused, match=re.escape(reason)):
        training.run_training(make_request(*words))


def test_without_a_decay_nothing_is_kept() -> None:
    assert AveragedWeights(decay=None).state_dict() == {}
