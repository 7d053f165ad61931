"""ECO's parts against the paper's numbers, the authors' names, and torchvision's networks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from lightning_modules.eco.module import ECOClassifier
from lightning_modules.eco.network import ECO
from lightning_modules.eco.online import working_memories
from lightning_modules.pretrained import Weights

SMALL: dict[str, Any] = {"num_classes": 3, "width": 0.125, "dropout": 0.0}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_eco_lite_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = ECO(num_classes=400)
    assert count(network.front) == 681_568
    assert count(network.res3) + count(network.res4) + count(network.res5) == 36_617_088
    assert count(network) == 37_503_856


def test_eco_full_has_the_47_million_parameters_of_the_paper() -> None:
    with torch.device("meta"):
        assert round(count(ECO(num_classes=400, is_full=True)) / 1e6, 1) == 47.5


def test_maps_have_the_papers_size() -> None:
    with torch.device("meta"):
        network = ECO(num_classes=400, is_full=True)
        maps, features = network.front(torch.zeros(2, 3, 224, 224))
        stacked = maps.repeat(8, 1, 1, 1).unflatten(0, (1, 16)).transpose(1, 2)
        last = network.res5(network.res4(network.res3(stacked)))
    assert maps.shape == (2, 96, 28, 28)
    assert features is not None
    assert features.shape == (2, 1024)
    assert last.shape == (1, 512, 4, 7, 7)


def test_the_means_over_maps_are_the_poolings_of_the_authors_kernel() -> None:
    maps = torch.randn(1, 512, 4, 7, 7)
    torch.testing.assert_close(maps.mean(dim=(2, 3, 4)), nn.AvgPool3d((4, 7, 7))(maps).flatten(1))


@pytest.mark.parametrize("num_frames", [1, 4, 7, 32])
def test_any_number_of_segments_will_do(num_frames: int) -> None:
    scores = ECO(**SMALL, is_full=True).eval()(torch.randn(2, 3, num_frames, 64, 64))
    assert scores.shape == (2, 3)


def test_frames_of_different_clips_do_not_mix() -> None:
    torch.manual_seed(0)
    network = ECO(**SMALL, is_full=True).eval()
    clips = torch.randn(3, 3, 4, 64, 64)
    torch.testing.assert_close(network(clips)[1:2], network(clips[1:2]), atol=1e-5, rtol=1e-4)


def test_the_order_of_frames_matters() -> None:
    torch.manual_seed(0)
    network = ECO(**SMALL).eval()
    clip = torch.randn(1, 3, 8, 64, 64)
    assert not torch.allclose(network(clip), network(clip.flip(2)), atol=1e-4)


def test_the_residual_stage_adds_shortcuts_from_before_batch_norm() -> None:
    torch.manual_seed(0)
    stage = ECO(**SMALL).res4.eval()
    features = torch.randn(1, 16, 4, 8, 8)

    def conv(name: str, value: Tensor, stride: int = 1) -> Tensor:
        layer = stage.get_submodule(name)
        return nn.functional.conv3d(value, layer.weight, layer.bias, stride=stride, padding=1)

    def norm_relu(name: str, value: Tensor) -> Tensor:
        return stage.get_submodule(name)(value).relu()

    # As the authors' list of layers has it, one after the other.
    res4a_1 = norm_relu("a_1.bn", conv("a_1.conv", features, 2))
    res4a = conv("a_2", res4a_1) + conv("a_down", features, 2)
    res4b_1 = norm_relu("b_1.bn", conv("b_1.conv", norm_relu("a_bn", res4a)))
    res4b = conv("b_2", res4b_1) + res4a
    torch.testing.assert_close(stage(features), norm_relu("b_bn", res4b))


# Written down from the authors' list of layers: a convolution and its batch norm of every kind.
CAFFE_NAMES = {
    "conv1_7x7_s2.weight": "front.conv1_7x7_s2.conv.weight",
    "conv1_7x7_s2_bn.running_mean": "front.conv1_7x7_s2.bn.running_mean",
    "conv2_3x3_reduce.bias": "front.conv2_3x3_reduce.conv.bias",
    "conv2_3x3_bn.weight": "front.conv2_3x3.bn.weight",
    "inception_3a_1x1.weight": "front.inception_3a.layers.1x1.conv.weight",
    "inception_3a_3x3_reduce_bn.bias": "front.inception_3a.layers.3x3_reduce.bn.bias",
    "inception_3b_pool_proj.weight": "front.inception_3b.layers.pool_proj.conv.weight",
    "inception_3c_double_3x3_1_bn.running_var": "front.inception_3c.layers.double_3x3_1.bn.running_var",
    "inception_4e_3x3.weight": "front.inception_4e.layers.3x3.conv.weight",
    "inception_5b_double_3x3_2.bias": "front.inception_5b.layers.double_3x3_2.conv.bias",
    "res3a_2.weight": "res3.a_2.weight",
    "res3a_bn.weight": "res3.a_bn.weight",
    "res3b_1.weight": "res3.b_1.conv.weight",
    "res3b_1_bn.running_mean": "res3.b_1.bn.running_mean",
    "res4a_1.weight": "res4.a_1.conv.weight",
    "res4a_down.weight": "res4.a_down.weight",
    "res5b_2.bias": "res5.b_2.bias",
    "res5b_bn.weight": "res5.b_bn.weight",
}


def classifier(weights: Path | None, **changes: Any) -> ECOClassifier:
    settings: dict[str, Any] = {
        "num_classes": 3,
        "front": "bn_inception",
        "map_layer": None,
        "is_full": True,
        "width": 0.125,
        "dropout": 0.0,
        "has_memory": True,
        "weights": str(weights) if weights is not None else None,
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "scheduler": None,
    }
    return ECOClassifier(**settings | changes)


def test_the_authors_names_are_translated_as_written_down() -> None:
    translated = classifier(None).translate(Weights("a file", {name: torch.zeros(1) for name in CAFFE_NAMES}))
    assert list(translated.state) == list(CAFFE_NAMES.values())
    # And each of them is a name of ours.
    assert set(CAFFE_NAMES.values()) <= set(classifier(None).network.state_dict())


def authors_name(name: str) -> str:
    """The inverse of the translation, by a list of replacements."""
    for ours, theirs in (
        ("fc.", "new_fc."),
        (".layers.", "_"),
        (".conv.", "."),
        (".bn.", "_bn."),
        ("front.", ""),
        ("res3.", "res3"),
        ("res4.", "res4"),
        ("res5.", "res5"),
    ):
        name = name.replace(ours, theirs)
    return f"module.{'' if name.startswith('new_fc') else 'base_model.'}{name}"


@pytest.mark.parametrize("is_full", [False, True])
def test_a_file_with_the_authors_names_gives_the_same_scores(*, is_full: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = classifier(None, is_full=is_full)
    state = {authors_name(name): value for name, value in source.network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "eco.pth")
    target = classifier(tmp_path / "eco.pth", is_full=is_full)
    report = target.load_pretrained_weights()
    assert report is not None
    assert report.untouched == []
    assert report.left_out == {}
    clip = torch.randn(1, 3, 4, 64, 64)
    torch.testing.assert_close(target.eval()(clip), source.eval()(clip))


def test_only_a_head_for_other_classes_is_left_as_it_was(tmp_path: Path) -> None:
    state = {authors_name(name): value for name, value in classifier(None).network.state_dict().items()}
    torch.save(state, tmp_path / "eco.pth")
    report = classifier(tmp_path / "eco.pth", num_classes=5).load_pretrained_weights()
    assert report is not None
    assert report.untouched == ["fc.weight", "fc.bias"]


def test_a_grafted_front_gives_torchvisions_own_maps() -> None:
    torch.manual_seed(0)
    network = ECO(**SMALL, front="resnet18", map_layer="layer2", is_full=True).eval()
    theirs = resnet18()
    theirs.fc = nn.Identity()
    theirs.load_state_dict({name.removeprefix("network."): v for name, v in network.front.state_dict().items()})
    frame = torch.randn(2, 3, 64, 64)
    maps, features = network.front(frame)
    theirs.eval()
    expected = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(frame))))
    torch.testing.assert_close(maps, theirs.layer2(theirs.layer1(expected)))
    torch.testing.assert_close(features, theirs(frame))


@pytest.mark.parametrize(("front", "layer"), [("mobilenet_v3_small", "features.3"), ("squeezenet1_0", "features.7")])
def test_fronts_of_other_kinds_are_grafted(front: str, layer: str) -> None:
    network = ECO(**SMALL, front=front, map_layer=layer).eval()
    assert network(torch.randn(1, 3, 4, 64, 64)).shape == (1, 3)


def test_a_layer_that_a_front_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.map_layer=layer9 is no layer of resnet18; choose one of conv1, bn1"):
        ECO(**SMALL, front="resnet18", map_layer="layer9")
    with pytest.raises(ValueError, match=r"model\.front=resnet18: say which of its layers"):
        ECO(**SMALL, front="resnet18")


def numbered(num_windows: int, num_frames: int) -> Tensor:
    """Windows whose frames hold their own numbers."""
    numbers = torch.arange(num_windows * num_frames, dtype=torch.float32).reshape(num_windows, 1, num_frames, 1, 1)
    return numbers.expand(-1, 3, -1, 2, 2)


def test_a_memory_is_half_new_and_half_what_was_seen_before() -> None:
    memories = working_memories(numbered(3, 4))[:, 0, :, 0, 0].tolist()
    assert memories[0] == [0, 1, 2, 3]
    assert memories[1] == [1, 3, 5, 7]
    assert memories[2] == [3, 7, 9, 11]


def test_a_memory_stays_in_the_order_of_time() -> None:
    for num_frames in (1, 2, 3, 8, 15):
        for memory in working_memories(numbered(6, num_frames))[:, 0, :, 0, 0]:
            assert memory.tolist() == sorted(memory.tolist())
            assert len(memory) == num_frames
