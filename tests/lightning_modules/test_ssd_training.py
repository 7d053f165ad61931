"""SSD trained: on genuine photographs, and at the paper's size."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from datamodules.batches import DetectionBatch
from experiment import training
from experiment.targets import instantiate_flat
from lightning_modules.optimization import build_optimization
from lightning_modules.ssd.module import SSDDetector
from tests.conftest import MakeRequest, compose


def settings_of(*overrides: str) -> Any:
    return OmegaConf.to_container(compose(*overrides), resolve=True)


@pytest.mark.slow
@pytest.mark.real_data
def test_eight_genuine_photographs_are_learned_by_heart(make_request: MakeRequest) -> None:
    request = make_request(experiment="ssd_voc_overfit")
    training.run_training(request)
    metrics = request.run.last_metrics()
    assert metrics["test/map_50"] >= 0.9
    assert metrics["test/map"] >= 0.7


@pytest.mark.slow
@pytest.mark.real_data
def test_an_epoch_over_the_genuine_sample_is_evaluated(make_request: MakeRequest) -> None:
    request = make_request("trainer.max_epochs=1", experiment="ssd_voc_sample")
    training.run_training(request)
    metrics = request.run.last_metrics()
    assert 0 <= metrics["test/map"] <= metrics["test/map_50"] <= 1
    assert metrics["test/loss"] < 30


@pytest.mark.slow
def test_ssd300_takes_a_step_at_the_papers_settings() -> None:
    torch.manual_seed(0)
    settings = settings_of("experiment=ssd300_voc")
    model: SSDDetector = instantiate_flat(settings["model"])
    built: Any = build_optimization(
        model.parameters(), optimizer=settings["optim"], scheduler=settings["scheduler"], num_steps=120_000
    )
    batch = DetectionBatch(
        torch.randn(2, 3, 300, 300),
        [torch.tensor([[30.0, 40.0, 200.0, 280.0], [100.0, 90.0, 130.0, 130.0]]), torch.zeros(0, 4)],
        [torch.tensor([11, 14]), torch.zeros(0, dtype=torch.int64)],
        [torch.tensor([False, False]), torch.zeros(0, dtype=torch.bool)],
    )
    # Heads of maps on which nothing is matched have nothing to learn from these two images.
    learning = [model.network.backbone.scale_weight, *model.network.backbone.features.parameters()]  # type: ignore
    before = [parameter.detach().clone() for parameter in learning]
    loss = model._step(batch, "train")
    loss.backward()  # type: ignore[no-untyped-call]
    built["optimizer"].step()
    assert bool(loss.isfinite())
    assert all(not torch.equal(was, now) for was, now in zip(before, learning, strict=True))


def test_a_batch_of_images_without_objects_trains() -> None:
    torch.manual_seed(0)
    model: SSDDetector = instantiate_flat(settings_of("experiment=ssd_voc_shapes")["model"])
    empty = DetectionBatch(
        torch.randn(2, 3, 96, 96),
        [torch.zeros(0, 4)] * 2,
        [torch.zeros(0, dtype=torch.int64)] * 2,
        [torch.zeros(0, dtype=torch.bool)] * 2,
    )
    model._step(empty, "train").backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


class _Batches(pl.LightningDataModule):
    """Six batches of one picture."""

    def __init__(self) -> None:
        super().__init__()
        size = 20 + 30 * torch.rand(6, 2)
        corner = torch.rand(6, 2) * (96 - size)
        self.boxes_xyxy = torch.cat([corner, corner + size], dim=1)

    def train_dataloader(self) -> DataLoader[DetectionBatch]:
        batches = [
            DetectionBatch(torch.randn(1, 3, 96, 96), [box[None]], [torch.tensor([1])], [torch.tensor([False])])
            for box in self.boxes_xyxy
        ]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list will do


def test_lightning_moves_and_counts_a_batch_of_lists(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model: SSDDetector = instantiate_flat(settings_of("experiment=ssd_voc_shapes")["model"])
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        default_root_dir=str(tmp_path), enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=_Batches())
    assert trainer.global_step == 6
    assert trainer.callback_metrics["train/loss"].isfinite()
