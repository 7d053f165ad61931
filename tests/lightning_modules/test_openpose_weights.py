"""The authors' weights under Caffe's names, made up here, against a network built of Caffe's layers."""

import re
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_modules.openpose.network import OpenPose2017
from lightning_modules.openpose.released_weights import from_released, is_released, layer_names, load_weights_

FEATURES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512))
# (layer, input channels, output channels, kernel), as pose_deploy_linevec.prototxt of the COCO model has them.
VGG = [
    ("conv1_1", 3, 64), ("conv1_2", 64, 64), ("conv2_1", 64, 128), ("conv2_2", 128, 128), ("conv3_1", 128, 256),
    ("conv3_2", 256, 256), ("conv3_3", 256, 256), ("conv3_4", 256, 256), ("conv4_1", 256, 512), ("conv4_2", 512, 512),
    ("conv4_3_CPM", 512, 256), ("conv4_4_CPM", 256, 128),
]  # fmt: skip


def _layers() -> dict[str, tuple[int, int, int]]:
    layers = {name: (inputs, outputs, 3) for name, inputs, outputs in VGG}
    for branch, maps in (("L1", 38), ("L2", 19)):
        for number in range(1, 6):
            outputs = {4: 512, 5: maps}.get(number, 128)
            layers[f"conv5_{number}_CPM_{branch}"] = (512 if number == 5 else 128, outputs, 3 if number < 4 else 1)
        for stage in range(2, 7):
            for number in range(1, 8):
                size = (185 if number == 1 else 128, maps if number == 7 else 128, 7 if number < 6 else 1)
                layers[f"Mconv{number}_stage{stage}_{branch}"] = size
    return layers


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    """A state dict with the names and shapes of the authors' COCO model; the values are drawn."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (inputs, outputs, size) in _layers().items():
        spread = (2 / (inputs * size * size)) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, size, size, generator=generator) * spread
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return state


def _caffe(state: dict[str, Tensor], blue_green_red: Tensor) -> tuple[Tensor, Tensor]:
    """The first two stages, layer by layer as the prototxt puts them."""

    def layer(x: Tensor, name: str) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    x = blue_green_red
    for name, _, _ in VGG:
        if re.fullmatch("conv[234]_1", name):
            x = F.max_pool2d(x, 2)
        x = F.relu(layer(x, name))
    maps = []
    for branch in ("L1", "L2"):
        y = x
        for number in range(1, 6):
            y = layer(y if number == 1 else F.relu(y), f"conv5_{number}_CPM_{branch}")
        maps.append(y)
    joined = torch.cat([*maps, x], dim=1)
    second = []
    for branch in ("L1", "L2"):
        y = joined
        for number in range(1, 8):
            y = layer(y if number == 1 else F.relu(y), f"Mconv{number}_stage2_{branch}")
        second.append(y)
    return second[0], second[1]


def _network(num_stages: int = 6) -> OpenPose2017:
    return OpenPose2017(features=FEATURES, reduction=(256, 128), num_stages=num_stages)


def test_every_convolution_has_its_caffe_name_and_shape(released: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        own = {name: tuple(tensor.shape) for name, tensor in _network().state_dict().items()}
    converted = from_released(released)
    assert {name: tuple(tensor.shape) for name, tensor in converted.items()} == own
    assert len(list(layer_names())) == 92


@pytest.mark.slow
def test_our_maps_are_those_of_caffes_layers(released: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(released, tmp_path / "body_pose_model.pth")
    network = _network()
    assert load_weights_(network, tmp_path / "body_pose_model.pth").endswith("184 of the network's 184 tensors loaded")
    # The first layer's other normalisation is the next test's; here it is Caffe's own.
    network.features[0].load_state_dict({part: released[f"conv1_1.{part}"] for part in ("weight", "bias")})
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.no_grad():
        maps = network(image)
        expected = _caffe(released, image)
    for ours, theirs in zip((maps.fields[1], maps.heatmaps[1]), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_first_layer_takes_our_normalisation_for_caffes(released: dict[str, Tensor]) -> None:
    byte = torch.randint(0, 256, (1, 3, 12, 12), generator=torch.Generator().manual_seed(1)).float()
    mean, spread = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    converted = from_released(released)
    ours = F.conv2d((byte / 255 - mean) / spread, converted["features.0.weight"], converted["features.0.bias"])
    theirs = F.conv2d(byte.flip(dims=(1,)) / 256 - 0.5, released["conv1_1.weight"], released["conv1_1.bias"])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_prefix_before_the_names_does_not_matter(released: dict[str, Tensor]) -> None:
    prefixed = {f"model0.{name}": tensor for name, tensor in released.items()}
    assert is_released(prefixed)
    assert from_released(prefixed).keys() == from_released(released).keys()


def test_a_file_that_lacks_a_layer_or_has_another_is_refused(released: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"the file lacks 1 tensors, Mconv3_stage4_L2\.bias among them"):
        from_released({name: tensor for name, tensor in released.items() if name != "Mconv3_stage4_L2.bias"})
    with pytest.raises(ValueError, match=r"the file also has 1 tensors, Mconv1_stage7_L1\.bias among them"):
        from_released({**released, "Mconv1_stage7_L1.bias": torch.zeros(1)})


def test_torchvisions_vgg_19_fills_the_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vgg = torchvision.models.vgg19(weights=None).features
    state = {f"features.{name}": tensor for name, tensor in vgg.state_dict().items()}
    torch.save(state, tmp_path / "vgg19.pth")
    network = _network(num_stages=1)
    assert load_weights_(network, tmp_path / "vgg19.pth").endswith(": 20 of the network's 44 tensors loaded")
    image = torch.randn(1, 3, 32, 32)
    assert isinstance(vgg, nn.Sequential)
    with torch.no_grad():
        assert torch.equal(network.features(image), vgg[:23](image))


def test_weights_of_another_size_are_refused(tmp_path: Path, released: dict[str, Tensor]) -> None:
    torch.save(released, tmp_path / "released.pth")
    small = OpenPose2017(features=((4,), (4,)), reduction=(4,), num_stages=2, width=4)
    with pytest.raises(
        ValueError, match="does not fit; the authors' weights and torchvision's VGG-19 fit model=openpose"
    ):
        load_weights_(small, tmp_path / "released.pth")


def test_a_missing_or_damaged_file_of_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there are no weights .*none.pth; correct the path"):
        load_weights_(_network(num_stages=1), tmp_path / "none.pth")
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match=r"cut.pth holds more than weights, or is cut off"):
        load_weights_(_network(num_stages=1), tmp_path / "cut.pth")
