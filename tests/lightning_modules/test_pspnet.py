"""PSPNet's network against torchvision's, the paper's counts and literal constructions."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.pspnet.backbone import DilatedResNet, load_weights_
from lightning_modules.pspnet.network import PSPNet, PyramidPooling

RESNET_50 = [3, 4, 6, 3]


def _network(*, num_classes: int = 21, stem: str = "deep", width: float = 1.0, blocks: list[int] = RESNET_50) -> PSPNet:
    return PSPNet(num_classes=num_classes, blocks=blocks, stem=stem, width=width, bins=[1, 2, 3, 6], dropout=0.1)  # type: ignore[arg-type]


def _small(num_classes: int = 4) -> PSPNet:
    torch.manual_seed(0)
    network = _network(num_classes=num_classes, width=0.125, blocks=[1, 1, 2, 1])
    _randomise_statistics_(network)
    return network


def _randomise_statistics_(network: nn.Module) -> None:
    """A network whose normalisation does something in evaluation."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_number_of_parameters_is_the_authors() -> None:
    with torch.device("meta"):
        assert _num_parameters(_network(num_classes=150)) == 49_180_908
        network = _network(num_classes=21)
    backbone = network.backbone
    assert _num_parameters(network) == 49_081_578
    assert _num_parameters(backbone.conv1) + _num_parameters(backbone.bn1) == 112_832
    stages = [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
    assert [_num_parameters(stage) for stage in stages] == [236_288, 1_219_584, 7_098_368, 14_964_736]
    assert _num_parameters(network.pyramid) == 4_198_400
    assert _num_parameters(network.head) == 18_886_165
    assert _num_parameters(network.auxiliary_head) == 2_365_205


def test_the_maps_of_475_pixels_are_the_authors() -> None:
    with torch.device("meta"):
        network = _network()
        image = torch.empty(2, 3, 475, 475)
        third, fourth = network.backbone(image)
        assert third.shape == (2, 1024, 60, 60)
        assert fourth.shape == (2, 2048, 60, 60)
        assert network.pyramid(fourth).shape == (2, 4096, 60, 60)
        assert network(image).main.shape == network(image).auxiliary.shape == (2, 21, 475, 475)


@pytest.mark.parametrize(("blocks", "name"), [(RESNET_50, "resnet50"), ([3, 4, 23, 3], "resnet101")])
def test_names_and_shapes_of_the_plain_backbone_are_torchvisions(blocks: list[int], name: str) -> None:
    with torch.device("meta"):
        ours = DilatedResNet(blocks=blocks, stem="plain", width=1.0).state_dict()
        theirs = torchvision.models.get_model(name, weights=None).state_dict()
    found = {name: value.shape for name, value in ours.items()}
    assert found == {name: value.shape for name, value in theirs.items() if not name.startswith("fc.")}


def _resnet_50(*, is_dilated: bool) -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, is_dilated, is_dilated], num_classes=2
    )
    _randomise_statistics_(network)
    return network.eval()


@torch.no_grad()
def _features(network: nn.Module, image: Tensor) -> Tensor:
    names = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    for name in names:
        image = network.get_submodule(name)(image)
    return image


def test_dilated_features_equal_torchvisions() -> None:
    theirs = _resnet_50(is_dilated=True)
    ours = DilatedResNet(blocks=RESNET_50, stem="plain", width=1.0).eval()
    ours.load_state_dict({name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")})
    image = torch.randn(1, 3, 50, 41)
    with torch.no_grad():
        found = ours(image).fourth
    torch.testing.assert_close(found, _features(theirs, image), atol=1e-4, rtol=1e-4)


def test_every_fourth_feature_is_that_of_the_classifier_the_weights_come_from(tmp_path: Path) -> None:
    classifier = _resnet_50(is_dilated=False)
    torch.save(classifier.state_dict(), tmp_path / "resnet50.pth")
    backbone = DilatedResNet(blocks=RESNET_50, stem="plain", width=1.0).eval()
    load_weights_(backbone, str(tmp_path / "resnet50.pth"))
    image = torch.randn(1, 3, 97, 65)
    with torch.no_grad():
        dilated = backbone(image).fourth
    torch.testing.assert_close(dilated[:, :, ::4, ::4], _features(classifier, image), atol=1e-4, rtol=1e-4)


def test_weights_that_do_not_fit_are_refused_with_what_would(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    backbone = DilatedResNet(blocks=[1, 1, 1, 1], stem="deep", width=0.125)
    with pytest.raises(ValueError, match=r"other.pth does not fit .*need model.stem=plain"):
        load_weights_(backbone, str(tmp_path / "other.pth"))
    with pytest.raises(FileNotFoundError, match=r"model.backbone_weights=missing.pth: there is no such file"):
        load_weights_(backbone, "missing.pth")


def _pooled_by_a_loop(features: Tensor, *, side: int) -> Tensor:
    """Averages over regions whose borders are those of equal parts, widened to whole cells."""
    num_samples, channels, height, width = features.shape
    pooled = torch.empty(num_samples, channels, side, side)
    for row in range(side):
        for column in range(side):
            rows = slice(row * height // side, -(-(row + 1) * height // side))
            columns = slice(column * width // side, -(-(column + 1) * width // side))
            pooled[:, :, row, column] = features[:, :, rows, columns].mean(dim=(2, 3))
    return pooled


def _enlarged_by_a_loop(values: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, corners onto corners."""
    enlarged = torch.empty(*values.shape[:2], height, width)
    for row in range(height):
        for column in range(width):
            y = row * (values.shape[2] - 1) / max(1, height - 1)
            x = column * (values.shape[3] - 1) / max(1, width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, values.shape[2] - 1), min(left + 1, values.shape[3] - 1)
            upper = (1 - (x - left)) * values[:, :, top, left] + (x - left) * values[:, :, top, right]
            lower = (1 - (x - left)) * values[:, :, bottom, left] + (x - left) * values[:, :, bottom, right]
            enlarged[:, :, row, column] = (1 - (y - top)) * upper + (y - top) * lower
    return enlarged


@torch.no_grad()
def test_pyramid_pooling_equals_a_literal_one() -> None:
    torch.manual_seed(0)
    pyramid = PyramidPooling(8, bins=[1, 2, 3, 6]).eval()
    _randomise_statistics_(pyramid)
    features = torch.randn(2, 8, 7, 9)
    expected = [features]
    for level, side in zip(pyramid.levels, (1, 2, 3, 6), strict=True):
        convolution, norm = level.get_submodule("1"), level.get_submodule("2")
        weight = convolution.weight[:, :, 0, 0]  # type: ignore[index]
        reduced = torch.einsum("oc,bchw->bohw", weight, _pooled_by_a_loop(features, side=side))
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None]  # type: ignore[operator, union-attr]
        normed = (reduced - norm.running_mean[:, None, None]) * scale + norm.bias[:, None, None]  # type: ignore[index, operator]
        expected.append(_enlarged_by_a_loop(normed.clamp(min=0), 7, 9))
    torch.testing.assert_close(pyramid(features), torch.cat(expected, dim=1), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_logits_are_the_head_over_the_pyramid_of_torchvisions_features() -> None:
    theirs = _resnet_50(is_dilated=True)
    network = _network(stem="plain").eval()
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    network.backbone.load_state_dict(state)
    image = torch.randn(1, 3, 33, 41)
    scores = network.head(network.pyramid(_features(theirs, image)))
    torch.testing.assert_close(network(image).main, _enlarged_by_a_loop(scores, 33, 41), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_constant_map_stays_constant_under_pyramid_pooling() -> None:
    pyramid = PyramidPooling(8, bins=[1, 2, 3, 6]).eval()
    pooled = pyramid(torch.rand(1, 8, 1, 1).expand(1, 8, 9, 5))
    torch.testing.assert_close(pooled, pooled[:, :, :1, :1].expand_as(pooled))


@pytest.mark.parametrize("size", [(1, 1), (7, 200), (64, 64), (65, 97)])
@torch.no_grad()
def test_an_image_of_any_size_is_segmented_at_that_size(size: tuple[int, int]) -> None:
    logits = _small().eval()(torch.randn(2, 3, *size))
    assert logits.main.shape == (2, 4, *size)
    assert logits.main.isfinite().all()
    assert logits.auxiliary is None


@torch.no_grad()
def test_what_is_mirrored_is_segmented_mirrored_only_by_a_symmetric_network() -> None:
    network = _small().eval()
    image = torch.randn(1, 3, 65, 65)
    assert not torch.allclose(network(image.flip(dims=[3])).main.flip(dims=[3]), network(image).main, atol=1e-3)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_((module.weight + module.weight.flip(dims=[3])) / 2)
    torch.testing.assert_close(
        network(image.flip(dims=[3])).main.flip(dims=[3]), network(image).main, atol=1e-4, rtol=1e-4
    )


def test_training_on_a_single_image_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"a batch of one image cannot be normalised .* take data.batch_size=2"):
        _small()(torch.randn(1, 3, 33, 33))


@pytest.mark.parametrize("bins", [[], [0, 1], [1] * 9])
def test_impossible_bins_are_refused(bins: list[int]) -> None:
    with pytest.raises(ValueError, match=r"give the sides of grids"):
        PyramidPooling(8, bins=bins)


def test_impossible_blocks_and_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"blocks=\[3, 4\]: a ResNet has four stages"):
        DilatedResNet(blocks=[3, 4], stem="deep", width=1.0)
    with pytest.raises(ValueError, match=r"width=0.01 leaves a layer of 64 channels with none"):
        DilatedResNet(blocks=RESNET_50, stem="deep", width=0.01)


def test_the_auxiliary_loss_does_not_reach_the_fourth_stage() -> None:
    network = _small()
    logits = network(torch.randn(2, 3, 33, 33)).auxiliary
    F.cross_entropy(logits, torch.zeros(2, 33, 33, dtype=torch.long)).backward()
    assert all(p.grad is None for p in (*network.backbone.layer4.parameters(), *network.head.parameters()))
    assert all(p.grad is not None for p in network.backbone.layer3.parameters())
