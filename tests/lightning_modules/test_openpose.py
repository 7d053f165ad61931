"""OpenPose's networks against the papers' figures, its loss, and its way from a photograph to a picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from datamodules.batches import KeypointBatch, SizedImageBatch
from experiment import training
from experiment.targets import instantiate_flat
from lightning_modules.openpose.decoding import Pose
from lightning_modules.openpose.module import OpenPose, build_network, masked_squared_error
from lightning_modules.openpose.network import DenseBlock, OpenPose2017, OpenPose2019, StageMaps
from lightning_modules.openpose.pictures import draw_people, person_of_pose
from lightning_modules.openpose.skeleton import JOINTS
from lightning_modules.openpose.targets import TargetMaps
from tests.conftest import MakeRequest, compose

FEATURES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512))


def _convolution(inputs: int, outputs: int, size: int) -> int:
    return outputs * (inputs * size * size + 1)


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_first_networks_parts_have_the_numbers_of_its_caffe_model() -> None:
    with torch.device("meta"):
        network = OpenPose2017(features=FEATURES, reduction=(256, 128))
    assert _count(network.features) + _count(network.reduction) == 7_340_480
    counts = [[_count(stage) for stage in branch] for branch in (network.field_stages, network.heatmap_stages)]
    assert counts == [[528_294] + 5 * [4_393_638], [518_547] + 5 * [4_391_187]]


def test_its_later_stages_see_185_channels_and_its_maps_an_eighth_of_the_image() -> None:
    with torch.device("meta"):
        network = OpenPose2017(features=FEATURES, reduction=(256, 128))
        maps = network(torch.empty(2, 3, 368, 368))
    assert network.field_stages[1][0].in_channels == 185
    assert [tuple(stage.shape) for stage in maps.fields] == 6 * [(2, 38, 46, 46)]
    assert [tuple(stage.shape) for stage in maps.heatmaps] == 6 * [(2, 19, 46, 46)]


def test_the_second_networks_stages_have_the_numbers_of_its_published_layers() -> None:
    def stage(inputs: int, width: int, hidden: int, outputs: int) -> int:
        total = 0
        for block in range(5):
            first = inputs if block == 0 else 3 * width
            total += _convolution(first, width, 3) + 2 * _convolution(width, width, 3) + 3 * width
        return total + _convolution(3 * width, hidden, 1) + hidden + _convolution(hidden, outputs, 1)

    with torch.device("meta"):
        network = OpenPose2019(features=FEATURES, reduction=(256, 128))
    fields = [stage(128, 96, 256, 38)] + 3 * [stage(128 + 38, 128, 512, 38)]
    heatmaps = [stage(128 + 38, 96, 256, 19), stage(128 + 38 + 19, 128, 512, 19)]
    assert [_count(each) for each in network.field_stages] == fields
    assert [_count(each) for each in network.heatmap_stages] == heatmaps


def test_the_second_networks_joints_follow_from_its_last_fields() -> None:
    torch.manual_seed(0)
    network = OpenPose2019(features=((4,), (4,)), reduction=(4,), first_width=4, width=4, first_hidden=4, hidden=4)
    maps = network(torch.randn(1, 3, 16, 16))
    assert (len(maps.fields), len(maps.heatmaps)) == (4, 2)
    (gradient,) = torch.autograd.grad(maps.heatmaps[0].sum(), maps.fields[-1])
    assert gradient.abs().sum() > 0


def test_a_dense_block_gives_all_three_outputs() -> None:
    torch.manual_seed(0)
    block = DenseBlock(5, 4, batch_norm=False)
    x = torch.randn(1, 5, 8, 8)
    first = block.convolutions[0](x)
    second = block.convolutions[1](first)
    assert torch.equal(block(x), torch.cat([first, second, block.convolutions[2](second)], dim=1))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"_target_": "torch.nn.Linear"}, "_target_=torch.nn.Linear is no network of OpenPose; choose lightning"),
        ({"features": [], "reduction": []}, "give each resolution at least one convolution"),
        ({"features": [[4], []], "reduction": []}, "give each resolution at least one convolution"),
        ({"features": [[4]], "reduction": [], "num_stages": 0}, "num_stages=0: there is at least one stage"),
    ],
)
def test_a_network_that_cannot_be_is_refused(network: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({"_target_": "lightning_modules.openpose.network.OpenPose2017", **network})


def test_the_loss_is_half_the_squared_error_of_every_stage_where_cells_count() -> None:
    fields, heatmaps = torch.zeros(2, 38, 3, 3), torch.zeros(2, 19, 3, 3)
    targets = TargetMaps(fields, heatmaps, torch.ones(2, 1, 3, 3))
    targets.weight[:, :, 0] = 0
    off = fields.clone()
    off[0, 0, 0], off[0, 0, 1] = 100.0, 2.0
    # Three cells of 2, twice over two stages, halved, over two images.
    assert float(masked_squared_error(StageMaps([off, off], [heatmaps]), targets)) == 2 * 3 * 4 / 2 / 2


def test_what_is_ignored_has_no_gradient() -> None:
    maps = [torch.randn(1, channels, 4, 4, requires_grad=True) for channels in (38, 19)]
    weight = torch.ones(1, 1, 4, 4)
    weight[..., 2:, :] = 0
    targets = TargetMaps(torch.zeros(1, 38, 4, 4), torch.zeros(1, 19, 4, 4), weight)
    masked_squared_error(StageMaps([maps[0]], [maps[1]]), targets).backward()
    for stage in maps:
        assert stage.grad is not None
        assert stage.grad[..., 2:, :].abs().sum() == 0
        assert (stage.grad[..., :2, :] != 0).all()


def _model() -> OpenPose:
    return OpenPose(
        network={
            "_target_": "lightning_modules.openpose.network.OpenPose2017",
            "features": [[4], [4]],
            "reduction": [],
            "num_stages": 2,
            "width": 4,
            "first_hidden": 4,
        },
        weights=None,
        sigma=7.0,
        limb_width=8.0,
        peak_threshold=0.1,
        field_threshold=0.05,
        min_joints=3,
        min_score=0.2,
        optimizer={"_target_": "torch.optim.SGD", "lr": 0.1},
        scheduler=None,
    )


class _Known(torch.nn.Module):
    """A network that sees one person whatever the image shows."""

    stride = 8

    def __init__(self, maps: StageMaps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, image: Tensor) -> StageMaps:
        return self.maps


def test_a_prediction_is_in_the_pixels_of_the_file() -> None:
    from lightning_modules.openpose.targets import draw_targets

    joints = torch.zeros(1, 1, len(JOINTS), 3)
    for name, place in {"nose": (40.0, 20.0), "neck": (40.0, 40.0), "left_shoulder": (60.0, 40.0)}.items():
        joints[0, 0, JOINTS.index(name)] = torch.tensor([*place, 2.0])
    targets = draw_targets(joints, torch.zeros(1, 96, 96, dtype=torch.bool), stride=8, sigma=7.0, limb_width=8.0)
    model = _model()
    model.network = _Known(StageMaps([targets.fields], [targets.heatmaps]))  # type: ignore[assignment]
    # The file is five times as large: the middle of pixel 40 is 202 in it.
    batch = SizedImageBatch(torch.zeros(1, 3, 96, 96), torch.tensor([[480, 300]]))
    ((person,),) = model.predict_step(batch, 0)
    assert person["joints"].keys() == {"nose", "neck", "left_shoulder"}
    assert person["joints"]["nose"][:2] == pytest.approx((202.0, 102.0), abs=0.1)


def test_a_picture_has_the_files_shape_and_colour_where_a_limb_is(tmp_path: Path) -> None:
    Image.new("L", (600, 300), 128).save(tmp_path / "grey.png")
    joints = np.zeros((len(JOINTS), 3), np.float32)
    joints[JOINTS.index("neck")], joints[JOINTS.index("nose")] = (100, 200, 1), (500, 200, 1)
    person = person_of_pose(Pose(joints, 1.0), scale=1.0)
    picture = np.array(draw_people(tmp_path / "grey.png", [person]))
    assert picture.shape == (300, 600, 3)
    assert (np.ptp(picture[200, 120:480].astype(int), axis=1) > 100).all()
    assert (picture[100] == 128).all()


def test_a_photograph_taken_sideways_is_drawn_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (600, 300)).save(tmp_path / "turned.jpg", exif=exif)
    assert draw_people(tmp_path / "turned.jpg", []).size == (300, 600)


def test_limbs_thinner_than_a_cell_are_refused() -> None:
    settings = {**_model().hparams, "limb_width": 1.5}
    with pytest.raises(
        ValueError, match=r"limb_width=1.5 is less than a cell of the maps \(2 pixels\): limbs would have"
    ):
        OpenPose(**settings)


@pytest.mark.slow
def test_the_full_size_model_takes_an_optimisation_step() -> None:
    settings: Any = OmegaConf.to_container(compose("experiment=openpose_coco"), resolve=True)
    torch.manual_seed(0)
    model: OpenPose = instantiate_flat(settings["model"])
    keypoints = torch.rand(1, 2, 17, 3) * 360
    keypoints[..., 2] = 2
    side = settings["data"]["image_size"]
    batch = KeypointBatch(
        torch.randn(1, 3, side, side),
        keypoints,
        torch.tensor([[[0.0, 0, 360, 360]] * 2]),
        torch.full((1, 2), 1000.0),
        torch.zeros(1, 2, dtype=torch.bool),
        torch.zeros(1, side, side, dtype=torch.bool),
        torch.tensor([1]),
    )
    loss = model._step(batch, "train")
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.network.parameters())


@pytest.mark.slow
@pytest.mark.real_data
def test_eight_genuine_photographs_are_learned_by_heart(make_request: MakeRequest) -> None:
    request = make_request(experiment="openpose_coco_sample")
    training.run_training(request)
    assert request.run.last_metrics()["test/oks_ap"] >= 0.8
