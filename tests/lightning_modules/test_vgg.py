"""VGG against the paper's counts and torchvision's networks."""

import pytest
import torch
import torchvision

from lightning_modules.vgg.network import VGG

# Table 2 of the paper, in millions, without batch norm at 1,000 classes.
PAPERS_MILLIONS = {11: 133, 13: 133, 16: 138, 19: 144}


def _torchvisions(depth: int, *, batch_norm: bool) -> torch.nn.Module:
    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"
    return torchvision.models.get_model(name, weights=None)


@pytest.mark.parametrize("depth", PAPERS_MILLIONS)
def test_the_number_of_parameters_is_the_papers(depth: int) -> None:
    with torch.device("meta"):
        network = VGG(num_classes=1000, depth=depth)
    assert sum(p.numel() for p in network.parameters()) // 1_000_000 == pytest.approx(PAPERS_MILLIONS[depth], abs=1)


def test_vgg_16_has_138357544_parameters_and_134268738_at_two_classes() -> None:
    with torch.device("meta"):
        counts = [sum(p.numel() for p in VGG(num_classes=classes).parameters()) for classes in (1000, 2)]
    assert counts == [138_357_544, 134_268_738]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("depth", PAPERS_MILLIONS)
def test_names_and_shapes_are_torchvisions(depth: int, *, batch_norm: bool) -> None:
    with torch.device("meta"):
        ours = VGG(num_classes=1000, depth=depth, batch_norm=batch_norm).state_dict()
        theirs = _torchvisions(depth, batch_norm=batch_norm).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize(("depth", "batch_norm"), [(11, True), (16, False)])
def test_outputs_equal_torchvisions_with_its_weights(depth: int, *, batch_norm: bool) -> None:
    torch.manual_seed(0)
    theirs = _torchvisions(depth, batch_norm=batch_norm).eval()
    ours = VGG(num_classes=1000, depth=depth, batch_norm=batch_norm).eval()
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image), atol=1e-5, rtol=0)


def test_a_narrow_networks_outputs_equal_torchvisions_layers() -> None:
    torch.manual_seed(0)
    ours = VGG(num_classes=10, depth=11, batch_norm=True, width=0.125, hidden_features=32, pooled_size=2).eval()
    configuration: list[str | int] = [8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"]
    features = torchvision.models.vgg.make_layers(configuration, batch_norm=True)
    theirs = torchvision.models.VGG(features, num_classes=10, init_weights=False)
    theirs.avgpool, theirs.classifier = ours.avgpool, ours.classifier
    theirs.features.load_state_dict(ours.features.state_dict())
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs.eval()(image), atol=1e-5, rtol=0)


def test_a_depth_that_the_paper_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="depth=12: the paper has VGG-11, 13, 16, 19; choose one of these"):
        VGG(num_classes=10, depth=12)


def test_a_width_that_leaves_no_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width=0.01 leaves a layer of 64 channels with none"):
        VGG(num_classes=10, width=0.01)
