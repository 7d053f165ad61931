"""Predicted masks as values and as pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from datamodules.joint_transforms import Presentation, segmentation_presentation
from lightning_modules.pspnet.mask_pictures import (
    class_colour,
    describe_mask,
    draw_mask,
    resize_mask,
    restore_mask,
    without_filling,
)

NAMES = ["background", "cat", "dog"]


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (40, 30)])
def test_a_mask_survives_its_description_as_json(size: tuple[int, int]) -> None:
    mask = torch.randint(3, size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(restore_mask(json.loads(json.dumps(describe_mask(mask)))), mask)


def test_a_mask_is_described_by_runs_over_its_rows() -> None:
    mask = torch.tensor([[0, 0, 2], [2, 1, 1]])
    assert describe_mask(mask) == {"height": 2, "width": 3, "runs": [[0, 2], [2, 2], [1, 2]]}


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 334), (64, 64)])
def test_what_a_file_was_filled_up_with_is_cut_off(height: int, width: int) -> None:
    image = tv_tensors.Image(torch.zeros(3, height, width, dtype=torch.uint8))
    sample = {"image": image, "mask": tv_tensors.Mask(torch.ones(height, width, dtype=torch.uint8))}
    mask = segmentation_presentation(Presentation(161, (0.5,), (0.5,)))(sample)["mask"].long()
    assert (without_filling(mask, height, width) == 1).all()
    assert without_filling(mask, height, width).sum() == (mask == 1).sum()


def test_a_doubled_mask_repeats_every_pixel() -> None:
    mask = torch.randint(3, (5, 4), generator=torch.Generator().manual_seed(0))
    doubled = mask.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    assert torch.equal(resize_mask(mask, height=10, width=8), doubled)


def test_colours_are_the_development_kits() -> None:
    # Aeroplane, bicycle, bird, boat, person, potted plant, monitor, void, as the kit's palette has them.
    colours = [class_colour(label) for label in (1, 2, 3, 4, 15, 16, 20, 255)]
    assert colours[:4] == [(128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert colours[4:] == [(192, 128, 128), (0, 64, 0), (0, 64, 128), (224, 224, 192)]


def test_a_picture_tints_the_classes_and_leaves_the_background(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), (100, 100, 100)).save(tmp_path / "grey.png")
    mask = torch.zeros(40, 60, dtype=torch.long)
    mask[:, 30:] = 1
    picture = np.array(draw_mask(tmp_path / "grey.png", describe_mask(mask), NAMES))
    assert tuple(picture[100, 100]) == (100, 100, 100)
    expected = 0.5 * np.array([100, 100, 100]) + 0.5 * np.array(class_colour(1))
    assert np.abs(picture[100, 400] - expected).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (30, 900), (640, 427)])
def test_a_picture_of_any_shape_is_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 128).save(tmp_path / "grey.png")
    mask = torch.randint(3, (size[1], size[0]), generator=torch.Generator().manual_seed(0))
    assert draw_mask(tmp_path / "grey.png", describe_mask(mask), NAMES).width > 200


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "turned.jpg", exif=exif)
    drawn = draw_mask(tmp_path / "turned.jpg", describe_mask(torch.zeros(60, 40, dtype=torch.long)), NAMES)
    assert drawn.height == 500


def test_a_class_without_pixels_is_not_in_the_legend(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), (9, 9, 9)).save(tmp_path / "dark.png")
    drawn = np.array(draw_mask(tmp_path / "dark.png", describe_mask(torch.ones(50, 50, dtype=torch.long)), NAMES))
    panel = drawn[:, 500:].reshape(-1, 3)
    assert (panel == class_colour(1)).all(axis=1).any()
    assert not (panel == class_colour(2)).all(axis=1).any()
