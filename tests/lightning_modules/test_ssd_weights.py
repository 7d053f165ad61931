"""SSD from others' weights: what is loaded where, and what is refused."""

import pytest
import torch
from torch import Tensor
from torchvision.models import vgg16

from lightning_modules.pretrained import Weights
from lightning_modules.ssd.backbones import SmallFeatures, VGG16Features
from lightning_modules.ssd.network import SSD
from lightning_modules.ssd.published_weights import convert_vgg16, load_published_weights_

BOXES = {"feature_sizes": [16, 8], "scales": [0.1, 0.2, 0.3], "steps": None, "aspect_ratios": [[2], [2]]}


def numbered_vgg16() -> dict[str, Tensor]:
    """A state dict in which a fully connected layer's weight is the number of its unit, in almost no memory."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg16(weights=None).state_dict().items()}
    state = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items() if name.startswith("features")}
    units = torch.arange(4096.0)
    state["classifier.0.weight"] = units[:, None].expand(4096, 512 * 49)
    state["classifier.3.weight"] = units.expand(4096, 4096)
    state["classifier.0.bias"] = state["classifier.3.bias"] = units
    return state


def test_vgg16_becomes_the_first_35_layers_of_ssd300() -> None:
    with torch.device("meta"):
        expected = {f"backbone.{name}": value.shape for name, value in VGG16Features().state_dict().items()}
    converted = convert_vgg16(numbered_vgg16())
    assert len(converted) == 26 + 4
    assert {name: value.shape for name, value in converted.items()}.items() <= expected.items()


def test_every_fourth_unit_of_the_fully_connected_layers_is_kept() -> None:
    converted = convert_vgg16(numbered_vgg16())
    assert converted["backbone.extra.0.7.1.weight"][:, 5, 1, 2].tolist() == list(range(0, 4096, 4))
    assert converted["backbone.extra.0.7.3.weight"][7, :, 0, 0].tolist() == list(range(0, 4096, 4))
    assert converted["backbone.extra.0.7.3.bias"][1] == 4


def small_ssd(num_classes: int) -> SSD:
    return SSD(SmallFeatures(widths=[4, 4], num_maps=2), num_classes=num_classes, image_size=32, **BOXES)  # type: ignore


def test_an_ssd_for_other_classes_keeps_its_own_class_head() -> None:
    torch.manual_seed(0)
    trained, fresh = small_ssd(3), small_ssd(5)
    kept = fresh.head.classification_head.module_list[0].weight.clone()  # type: ignore[operator,union-attr]
    report = load_published_weights_(fresh, Weights("trained", trained.state_dict()))
    assert all(name.startswith("head.classification_head") for name in report.untouched)
    assert torch.equal(fresh.head.classification_head.module_list[0].weight, kept)  # type: ignore[arg-type]
    loaded = fresh.state_dict()
    assert all(
        torch.equal(loaded[name], value) for name, value in trained.state_dict().items() if name in report.loaded
    )


def test_weights_of_another_backbone_are_refused() -> None:
    with pytest.raises(ValueError, match="has nothing for this network"):
        load_published_weights_(small_ssd(3), Weights("vgg16", numbered_vgg16()))
