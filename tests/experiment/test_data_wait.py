"""The share of training that waits for data, by a clock that only the test moves on."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn

from datamodules import unreadable as loader
from datamodules.unreadable import SkippingLoader
from experiment import training
from experiment.callbacks import data_wait as callback
from experiment.callbacks.data_wait import DataWait, data_wait
from tests.conftest import MakeRequest


class Clock:
    now = 0.0


class Samples:
    """Four batches, each of which takes so many seconds to make."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        self.clock.now += self.seconds
        return torch.ones(3)


class Model(pl.LightningModule):
    """Steps of one second, validations of a hundred."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.network = nn.Linear(3, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.clock.now += 1.0
        loss: Tensor = self.network(batch).mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.clock.now += 100.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_the_share_is_that_of_steps_without_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for module in (callback, loader):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, callbacks=[DataWait()], logger=CSVLogger(tmp_path, name=None, version=""),
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    samples = Samples(clock, 3.0)
    validation = SkippingLoader(Samples(clock, 50.0))
    assert data_wait(trainer) is None
    trainer.fit(Model(clock), SkippingLoader(samples), validation)
    assert data_wait(trainer) == 0.75
    # Another training with the same trainer counts once.
    samples.seconds = 1.0
    trainer.fit_loop.max_epochs = 4
    trainer.fit(Model(clock), SkippingLoader(samples), validation)
    assert data_wait(trainer) == (8 * 3 + 8 * 1) / (8 * 4 + 8 * 2)
    assert (tmp_path / "metrics.csv").read_text().split() == [
        "step,time/data_wait",
        "3,0.75",
        "7,0.75",
        "11,0.5",
        "15,0.5",
    ]


def test_a_run_has_the_share_in_its_record_and_not_in_its_ledger(make_request: MakeRequest) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    training.run_training(request)
    assert 0 < request.run.record()["data_wait"] < 1
    assert not any("time/data_wait" in row["metrics"] for row in request.run.metric_rows())
