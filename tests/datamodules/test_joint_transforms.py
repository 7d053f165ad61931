"""What happens to an image happens to its boxes and mask: judged by pictures whose pixels say where they came from."""

from typing import Any

import pytest
import torch
from torchvision import tv_tensors

from datamodules.batches import VOID
from datamodules.joint_transforms import (
    DetectionAugmentation,
    Presentation,
    SegmentationAugmentation,
    detection_augmentation,
    detection_presentation,
    segmentation_augmentation,
    segmentation_presentation,
    torchs_randomness,
)

TO = Presentation(image_size=60, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
EVERYTHING = DetectionAugmentation(photometric=True, zoom_out=4.0, iou_crop=True, flip=True)
GEOMETRY = EVERYTHING._replace(photometric=False)


def boxes_sample(*boxes: tuple[int, int, int, int], height: int = 80, width: int = 100) -> dict[str, Any]:
    """White boxes on a black image."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for left, top, right, bottom in boxes:
        image[:, top:bottom, left:right] = 255
    boxes_xyxy = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return {
        "image": tv_tensors.Image(image),
        "boxes_xyxy": tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width)),
        "label": torch.arange(len(boxes)),
        "is_difficult": torch.zeros(len(boxes), dtype=torch.bool),
    }


def mask_sample(*, height: int = 80, width: int = 100) -> dict[str, Any]:
    """An image that is white where the mask has class 1."""
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[20:60, 30:50] = 1
    return {"image": tv_tensors.Image(mask.expand(3, -1, -1) * 255), "mask": tv_tensors.Mask(mask)}


@pytest.mark.parametrize("seed", range(12))
def test_boxes_stay_around_what_they_are_around(seed):
    with torchs_randomness(seed):
        sample = detection_augmentation(GEOMETRY, TO)(boxes_sample((20, 30, 60, 70)))
    assert sample["image"].shape == (3, 60, 60)
    # White is 2; a box that was dropped leaves at most a corner of it.
    for box in sample["boxes_xyxy"]:
        left, top, right, bottom = box.round().int().tolist()
        white = sample["image"][0] > 1
        rows, columns = white.any(dim=1).nonzero().flatten(), white.any(dim=0).nonzero().flatten()
        found = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (found - torch.tensor([left, top, right, bottom])).abs().max() <= 1


@pytest.mark.parametrize("seed", range(12))
def test_rows_of_a_box_stay_together_and_within_the_image(seed):
    # Smaller boxes have higher labels, whatever the scale.
    boxes = [(10, 10, 70, 70), (20, 20, 60, 60), (30, 30, 50, 50)]
    with torchs_randomness(seed):
        sample = detection_augmentation(EVERYTHING, TO)(boxes_sample(*boxes))
    boxes_xyxy = sample["boxes_xyxy"]
    assert len(boxes_xyxy) == len(sample["label"]) == len(sample["is_difficult"])
    assert boxes_xyxy.min() >= 0
    assert boxes_xyxy.max() <= 60
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(dim=1)
    assert areas.min() > 0
    assert sample["label"].tolist() == sorted(sample["label"].tolist())
    assert areas.tolist() == sorted(areas.tolist(), reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_an_image_without_objects_is_augmented_like_any(seed):
    with torchs_randomness(seed):
        sample = detection_augmentation(EVERYTHING, TO)(boxes_sample())
    assert sample["image"].shape == (3, 60, 60)
    assert sample["boxes_xyxy"].shape == (0, 4)


def test_zooming_out_surrounds_an_image_by_the_mean_colour():
    augmentation = DetectionAugmentation(photometric=False, zoom_out=4.0, iou_crop=False, flip=False)
    sides = []
    for seed in range(20):
        with torchs_randomness(seed):
            sample = detection_augmentation(augmentation, TO)(boxes_sample((0, 0, 100, 80)))
        white = (sample["image"][0] > 1).float()
        sides.append(float(white.mean() ** 0.5))
        # White on the mean, which is zero up to the rounding of 127.5: nothing is darker.
        assert sample["image"].min() > -0.02
    assert sum(side > 0.99 for side in sides) in range(4, 17)
    assert min(sides) < 0.5


def test_presenting_changes_boxes_by_the_images_own_factors():
    sample = detection_presentation(TO)(boxes_sample((20, 30, 60, 70)))
    torch.testing.assert_close(sample["boxes_xyxy"], torch.tensor([[12.0, 22.5, 36.0, 52.5]]))
    assert type(sample["boxes_xyxy"]) is torch.Tensor
    assert sample["image"].min() == -2
    assert sample["image"].max() == 2


def test_a_mask_is_presented_whole_with_void_around_it():
    sample = segmentation_presentation(TO)(mask_sample())
    assert sample["image"].shape == (3, 60, 60)
    assert (sample["mask"][48:] == VOID).all()
    assert (sample["mask"][:48] != VOID).all()
    assert sample["image"][:, 48:].abs().max() < 0.02
    assert (sample["mask"] == 1).float().mean() * 3600 == pytest.approx(20 * 40 * 0.6**2, rel=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_a_mask_moves_with_its_image_and_what_comes_in_is_void(seed):
    augmentation = SegmentationAugmentation(scale=(0.5, 2.0), degrees=10.0, blur=False, flip=True)
    with torchs_randomness(seed):
        sample = segmentation_augmentation(augmentation, TO)(mask_sample())
    image, mask = sample["image"][0], sample["mask"]
    assert image.shape == mask.shape == (60, 60)
    # Interpolation blurs edges by a pixel or two; the rest agrees.
    assert ((image > 1) == (mask == 1)).float().mean() > 0.93
    assert (image[mask == VOID].abs() < 1).float().mean() > 0.9 if (mask == VOID).any() else True
    assert set(mask.unique().tolist()) <= {0, 1, VOID}


@pytest.mark.parametrize("seed", [3, 5])
def test_borrowed_randomness_depends_on_the_seed_alone_and_is_given_back(seed):
    torch.manual_seed(0)
    expected_after = torch.rand(3)
    torch.manual_seed(0)
    with torchs_randomness(seed):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected_after)
    with torchs_randomness(seed):
        assert torch.equal(torch.rand(3), first)
