"""SSD against the paper's numbers and torchvision's ssd300_vgg16."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

from experiment.targets import instantiate_flat
from lightning_modules.box_pictures import DetectedObject, draw_boxes
from lightning_modules.ssd.backbones import ResNetFeatures, SmallFeatures, VGG16Features
from lightning_modules.ssd.default_boxes import decode_boxes, encode_boxes, make_default_boxes
from lightning_modules.ssd.detections import detect
from lightning_modules.ssd.module import SSDDetector, build_backbone
from lightning_modules.ssd.network import SSD
from tests.conftest import compose

PAPERS: dict[str, Any] = OmegaConf.to_container(compose("~experiment", "model=ssd").model.default_boxes)  # type: ignore
SCALES = [0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05]
STEPS = [8, 16, 32, 64, 100, 300]
RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]


def ssd300(*, num_classes: int) -> SSD:
    return SSD(VGG16Features(), num_classes=num_classes, image_size=300, **PAPERS)


def test_ssd300_has_8732_default_boxes_of_the_authors_sizes() -> None:
    boxes = make_default_boxes(image_size=300, **PAPERS)
    assert len(boxes) == 5776 + 2166 + 600 + 150 + 36 + 4 == 8732
    # The authors' smallest and largest sizes in pixels, of 300.
    expected = {
        0: (4 / 300, 4 / 300, 30 / 300, 30 / 300),
        1: (4 / 300, 4 / 300, (30 * 60) ** 0.5 / 300, (30 * 60) ** 0.5 / 300),
        2: (4 / 300, 4 / 300, 0.1 * 2**0.5, 0.1 / 2**0.5),
        3: (4 / 300, 4 / 300, 0.1 / 2**0.5, 0.1 * 2**0.5),
        5776: (8 / 300, 8 / 300, 60 / 300, 60 / 300),
        5781: (8 / 300, 8 / 300, 0.2 / 3**0.5, 0.2 * 3**0.5),
        7942: (16 / 300, 16 / 300, 111 / 300, 111 / 300),
        8542: (32 / 300, 32 / 300, 162 / 300, 162 / 300),
        8692: (50 / 300, 50 / 300, 213 / 300, 213 / 300),
        8728: (0.5, 0.5, 264 / 300, 264 / 300),
        8729: (0.5, 0.5, (264 * 315) ** 0.5 / 300, (264 * 315) ** 0.5 / 300),
        8731: (0.5, 0.5, 0.88 / 2**0.5, 1.0),
    }
    torch.testing.assert_close(boxes[list(expected)], torch.tensor(list(expected.values())), atol=1e-6, rtol=0)


@pytest.mark.parametrize("steps", [STEPS, None])
def test_default_boxes_equal_torchvisions_generator(steps: list[float] | None) -> None:
    generator = DefaultBoxGenerator(RATIOS, scales=SCALES, steps=steps)
    grids = [[side, side] for side in (38, 19, 10, 5, 3, 1)]
    theirs = generator._grid_default_boxes(grids, [300, 300])
    ours = make_default_boxes(image_size=300, **{**PAPERS, "steps": steps})
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_default_boxes_of_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match=r"6 feature_sizes need 7 scales, 6 steps .* there are 6, 6 and 6"):
        make_default_boxes(image_size=300, **{**PAPERS, "scales": SCALES[:-1]})


def test_decoding_undoes_encoding() -> None:
    torch.manual_seed(0)
    defaults = make_default_boxes(image_size=300, **PAPERS)
    corners = torch.rand(len(defaults), 2, 2).sort(dim=1).values.flatten(start_dim=1)
    boxes = corners + torch.tensor([0.0, 0.0, 0.01, 0.01])
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, defaults), defaults), boxes, atol=1e-5, rtol=0)


def test_a_box_equal_to_its_default_box_has_no_offset() -> None:
    defaults = torch.tensor([[0.5, 0.4, 0.2, 0.1]])
    torch.testing.assert_close(encode_boxes(torch.tensor([[0.4, 0.35, 0.6, 0.45]]), defaults), torch.zeros(1, 4))


def test_names_and_shapes_are_torchvisions_at_the_papers_26285486_parameters() -> None:
    with torch.device("meta"):
        ours = ssd300(num_classes=20)
        theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert sum(parameter.numel() for parameter in ours.parameters()) == 26_285_486


@pytest.mark.slow
def test_torchvisions_weights_give_torchvisions_detections() -> None:
    torch.manual_seed(0)
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=6, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    theirs.anchor_generator = DefaultBoxGenerator(RATIOS, scales=SCALES, steps=STEPS)
    ours = ssd300(num_classes=5)
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 300, 300)
    with torch.no_grad():
        expected = theirs.eval()(list(image))
        offsets, logits = ours.eval()(image)
    found = detect(
        offsets,
        logits,
        ours.default_boxes_cxcywh,
        score_threshold=0.01,
        nms_iou=0.45,
        candidates_per_class=400,
        detections_per_image=200,
    )
    for detections, theirs_detections in zip(found, expected, strict=True):
        assert len(detections.score) == 200
        assert torch.equal(detections.label + 1, theirs_detections["labels"])
        torch.testing.assert_close(detections.score, theirs_detections["scores"], atol=1e-5, rtol=0)
        torch.testing.assert_close(detections.boxes_xyxy * 300, theirs_detections["boxes"], atol=0.01, rtol=0)


def test_outputs_lie_in_the_order_of_the_default_boxes() -> None:
    # A head that says its cell's column and its box's number, on maps that hold the column.
    network = SSD(
        SmallFeatures(widths=[4, 4], num_maps=2),
        num_classes=1,
        image_size=32,
        feature_sizes=[16, 8],
        scales=[0.1, 0.2, 0.3],
        steps=None,
        aspect_ratios=[[2], [2]],
    )
    head = network.head.regression_head
    for module in head.module_list:
        torch.nn.init.zeros_(module.weight)  # type: ignore[arg-type]
        for box in range(4):
            module.weight.data[4 * box, 0, 1, 1] = 1  # type: ignore[index,union-attr]
            module.bias.data[4 * box + 1] = box  # type: ignore[index,union-attr]
    columns = [torch.arange(float(side)).expand(1, 4, side, side) for side in (16, 8)]
    said = head(columns)[0]
    cells = torch.cat([torch.full((16 * 16 * 4,), 16), torch.full((8 * 8 * 4,), 8)])
    torch.testing.assert_close((said[:, 0] + 0.5) / cells, network.default_boxes_cxcywh[:, 0])
    assert said[:8, 1].tolist() == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_gives_maps_for_ssd300s_default_boxes(depth: int) -> None:
    with torch.device("meta"):
        backbone = ResNetFeatures(depth=depth)
        maps = backbone(torch.zeros(1, 3, 300, 300))
        SSD(backbone, num_classes=20, image_size=300, **PAPERS)(torch.zeros(1, 3, 300, 300))
    assert [features.shape[-1] for features in maps] == PAPERS["feature_sizes"]
    assert [features.shape[1] for features in maps] == backbone.out_channels


def test_images_of_another_size_are_refused() -> None:
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=r"images of 512 x 512 pixels give 24656 predictions, but"),
    ):
        ssd300(num_classes=20)(torch.zeros(1, 3, 512, 512))


def test_what_is_no_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"backbone\._target_=torch\.nn\.Linear is not a class of"):
        build_backbone({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1})


def test_a_backbone_with_too_few_maps_is_refused() -> None:
    with pytest.raises(ValueError, match="the backbone gives 2 feature maps, but default_boxes has 6 lists"):
        SSD(SmallFeatures(widths=[4, 4], num_maps=2), num_classes=1, image_size=300, **PAPERS)


def test_predictions_are_in_the_files_own_pixels() -> None:
    settings: Any = OmegaConf.to_container(compose("experiment=ssd_voc_shapes").model, resolve=True)
    torch.manual_seed(0)
    model: SSDDetector = instantiate_flat(settings).eval()
    model.detection["score_threshold"] = 0.0
    from datamodules.batches import SizedImageBatch

    image = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        small, large = (
            model.predict_step(SizedImageBatch(image, torch.tensor([size])), 0)[0] for size in ([96, 96], [50, 400])
        )
    factors = np.array([400, 50, 400, 50]) / 96
    for one, other in zip(small, large, strict=True):
        assert np.array(one["box_xyxy"]) * factors == pytest.approx(np.array(other["box_xyxy"]), abs=1e-3)


def test_labels_of_boxes_that_begin_together_are_both_seen(tmp_path: Path) -> None:
    file = tmp_path / "white.png"
    Image.new("RGB", (480, 300), (255, 255, 255)).save(file)
    cat = DetectedObject(label=0, score=0.9, box_xyxy=[100.0, 100.0, 300.0, 200.0])
    dog = DetectedObject(label=1, score=0.8, box_xyxy=[104.0, 104.0, 310.0, 220.0])

    def num_pixels(objects: list[DetectedObject], colour: tuple[int, int, int]) -> int:
        picture = np.array(draw_boxes(file, objects, ["cat", "dog"], least_score=0.5))
        return int((picture == colour).all(axis=2).sum())

    for found, colour in ((cat, (230, 25, 75)), (dog, (60, 180, 75))):
        # A label hides a part of the other box's lines, which are 2 pixels wide.
        assert num_pixels([cat, dog], colour) > num_pixels([found], colour) - 150


def test_a_drawn_box_is_where_its_object_is(tmp_path: Path) -> None:
    Image.new("RGB", (480, 300), (255, 255, 255)).save(tmp_path / "white.png")
    objects = [
        DetectedObject(label=0, score=0.9, box_xyxy=[100.0, 120.0, 300.0, 200.0]),
        DetectedObject(label=1, score=0.2, box_xyxy=[0.0, 0.0, 480.0, 300.0]),
    ]
    picture = np.array(draw_boxes(tmp_path / "white.png", objects, ["cat", "dog"], least_score=0.5))
    is_red = (picture == (230, 25, 75)).all(axis=2)
    assert is_red[199, 100:300].all()
    assert is_red[120:200, 100].all()
    assert is_red[120:200, 299].all()
    assert not is_red[200:].any()
    # The label stands above the box.
    assert is_red[100:119].any()
    assert (picture[250:] == 255).all()
