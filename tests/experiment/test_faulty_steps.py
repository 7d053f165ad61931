"""Steps that go wrong: a loss that is no number, a sample that cannot be read."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.digits import DigitsDataModule
from datamodules.loading import Draw, SamplesOneByOne, training_loader
from datamodules.unreadable import OnError, UnreadableSample
from experiment import training
from experiment.failures import RunFailed
from lightning_modules.vgg.module import VGGClassifier
from tests.conftest import MakeRequest

SHORT = (
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
)


def break_step_two(monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None) -> None:
    step = VGGClassifier._step

    def breaking(self: VGGClassifier, batch: Any, split: str) -> Tensor:
        loss = step(self, batch, split)
        if split == "train" and self.global_step == 4:
            if error is not None:
                raise error
            return loss * float("nan")
        return loss

    monkeypatch.setattr(VGGClassifier, "_step", breaking)


def test_a_nan_loss_ends_the_run_at_its_step_and_reaches_no_checkpoint(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_step_two(monkeypatch)
    request = make_request(*SHORT)
    named = r"not finite at step 5 \(epoch 1, batch 1, samples \d+(, \d+){7} and 56 more\): loss; lower optim.lr"
    with pytest.raises(RunFailed, match=named):
        training.run_training(request)
    record = request.run.record()
    assert record["status"] == "failed"
    assert "the loss is not finite at step 5" in record["error"]
    (line,) = [line for line in request.run.log_file.read_text().splitlines() if "samples of the batch" in line]
    assert len(line.partition(": [")[2].split(",")) == 64
    for checkpoint in request.run.checkpoints.glob("*.ckpt"):
        state = torch.load(checkpoint, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())


def test_the_terms_and_the_field_of_a_batch_that_are_not_finite_are_named(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_terms(self: VGGClassifier, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        batch.image[0, 0, 0, 0] = float("inf")
        loss = self._step(batch, "train")
        return {"loss": loss, "loss_labels": loss.detach(), "loss_boxes": torch.zeros(())}

    monkeypatch.setattr(VGGClassifier, "training_step", with_terms)
    with pytest.raises(RunFailed, match=r": loss, loss_labels, batch\.image; lower"):
        training.run_training(make_request(*SHORT))


def test_a_step_with_a_nan_loss_is_skipped_and_counted_if_asked(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []

    def watch(self: VGGClassifier, *_: Any) -> None:
        weights.append({name: value.clone() for name, value in self.state_dict().items()})

    monkeypatch.setattr(VGGClassifier, "on_train_batch_start", watch, raising=False)
    break_step_two(monkeypatch)
    request = make_request(*SHORT, "callbacks.non_finite_loss.action=skip")
    training.run_training(request)
    # The fifth step, before and after: nothing has changed, batch norm's statistics and the epoch's metrics included.
    assert all(torch.equal(before, weights[5][name]) for name, before in weights[4].items())
    assert not all(torch.equal(before, weights[4][name]) for name, before in weights[3].items())
    metrics = request.run.record()["metrics"]
    assert metrics["train/skipped_steps"] == 1
    assert metrics["train/loss"] == metrics["train/loss"]
    assert "the loss is not finite at step 4 (epoch 1, batch 1, samples" in request.run.log_file.read_text()


def test_a_loss_that_stays_nan_ends_a_run_that_skips(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = VGGClassifier._step
    monkeypatch.setattr(VGGClassifier, "_step", lambda *args: step(*args) * float("nan"))
    skip = "callbacks.non_finite_loss.action=skip"
    with pytest.raises(RunFailed, match="11 steps in a row had a loss that is not finite"):
        training.run_training(make_request("data.batch_size=16", skip))


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_unreadable_sample_ends_a_run_or_is_listed(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], on_error: OnError
) -> None:
    make_loader = DigitsDataModule.train_dataloader

    def with_an_unreadable_digit(data: DigitsDataModule) -> Any:
        whole = make_loader(data)

        def read(draw: Draw) -> Any:
            if draw.sample == 7:
                raise UnreadableSample("digits.npz", "it is smudged", record="digit 7")
            return whole.dataset.__getitems__([draw])  # type: ignore[attr-defined]

        def collate(samples: list[Any]) -> Any:
            return type(samples[0])(*(torch.cat(field) for field in zip(*samples, strict=True)))

        samples = SamplesOneByOne(len(whole.dataset), read, collate)  # type: ignore[arg-type]
        return training_loader(samples, whole.batch_sampler, num_workers=0, on_error=on_error)  # type: ignore[arg-type]

    monkeypatch.setattr(DigitsDataModule, "train_dataloader", with_an_unreadable_digit)
    # Two epochs: 19 of 1,257 digits are left over by the first.
    request = make_request("trainer.max_epochs=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1")
    if on_error == "raise":
        with pytest.raises(RunFailed, match=r"digits\.npz, digit 7: it is smudged; repair or remove it, or go on"):
            training.run_training(request)
        return
    training.run_training(request)
    listed = json.loads((request.run.path / "skipped.json").read_text())
    assert listed == [{"file": "digits.npz", "record": "digit 7", "reason": "it is smudged"}]
    assert "1 samples that cannot be read" in capsys.readouterr().out
    assert "skipped digits.npz digit 7: it is smudged" in request.run.log_file.read_text()
