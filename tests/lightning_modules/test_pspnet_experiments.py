"""PSPNet's configurations, and its runs on PASCAL VOC's own files."""

from pathlib import Path

import pytest
import torch

from experiment import training
from experiment.targets import instantiate_flat
from tests.conftest import MakeRequest

LOSSES = {"cross_entropy": "CrossEntropy", "focal": "Focal", "dice": "Dice", "lovasz": "Lovasz"}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_chosen_by_one_word(loss: str, make_request: MakeRequest) -> None:
    request = make_request(f"model/pspnet_loss={loss}", experiment="pspnet_voc_shapes")
    model = instantiate_flat(request.settings["model"])
    assert type(model.loss).__name__ == LOSSES[loss]


def test_the_papers_size_passes_the_preflight(make_request: MakeRequest) -> None:
    settings = make_request(experiment="pspnet50_voc").settings
    with torch.device("meta"):
        network = instantiate_flat({**settings["model"], "backbone_weights": None}).network
    # The plain stem and the narrower map behind it, instead of the deep one's.
    stem, first_block = 3 * 64 * 49 + 128, 64 * (64 + 256)
    assert sum(p.numel() for p in network.parameters()) == 49_081_578 - 112_832 + stem - first_block
    assert settings["trainer"]["max_epochs"] * (1464 // settings["data"]["batch_size"]) == 30_030


@pytest.mark.slow
@pytest.mark.real_data
def test_the_papers_size_takes_a_step_and_is_evaluated(real_data: Path, make_request: MakeRequest) -> None:
    # Two of its sixteen images a step, and no download.
    short = [
        f"data.devkit_dir={real_data}/voc/VOCdevkit",
        "data.batch_size=2",
        "data.num_workers=0",
        "model.backbone_weights=null",
        "trainer.max_epochs=1",
    ]
    short += [
        "trainer.check_val_every_n_epoch=1",
        *(f"trainer.limit_{split}_batches=1" for split in ("train", "val", "test")),
    ]
    request = make_request(*short, "trainer.log_every_n_steps=1", experiment="pspnet50_voc")
    training.run_training(request)
    assert request.run.status() == "finished"
    assert 0 <= request.run.last_metrics()["test/miou"] <= 1


@pytest.mark.slow
@pytest.mark.real_data
def test_eight_genuine_images_are_learned_by_heart(make_request: MakeRequest) -> None:
    request = make_request(experiment="pspnet_voc_overfit")
    training.run_training(request)
    assert request.run.last_metrics()["test/miou"] >= 0.9


@pytest.mark.slow
@pytest.mark.real_data
def test_an_epoch_over_the_genuine_sample_is_evaluated(make_request: MakeRequest) -> None:
    request = make_request("trainer.max_epochs=1", experiment="pspnet_voc_sample")
    training.run_training(request)
    metrics = request.run.last_metrics()
    assert 0 <= metrics["test/miou"] <= 1
    # Background is most of what there is.
    assert metrics["test/pixel_accuracy"] > 0.5
