"""Joint transforms of images, keypoints and masks: what is drawn at a keypoint stays at the keypoint."""

import numpy as np
import pytest
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image

from datamodules.coco_annotations import KEYPOINTS, MIRRORED
from datamodules.pose_transforms import (
    FILL_COLOUR,
    Augmentation,
    fitted,
    place_box,
    place_image,
    place_keypoints,
    place_mask,
    random_placement,
    scale_of,
)

SIDE = 96


def _spot(keypoint: int) -> tuple[Image.Image, Float[np.ndarray, "17 3"], NDArray[np.bool_]]:
    """A white square of 9 pixels on black, a keypoint in its middle, and the mask of it."""
    x, y = 97 + keypoint, 60 - keypoint
    mask = np.zeros((120, 160), dtype=bool)
    mask[y - 4 : y + 5, x - 4 : x + 5] = True
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[keypoint] = x, y, 2
    return Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"), keypoints, mask


def _middle(marked: NDArray[np.floating]) -> NDArray[np.floating]:
    rows, columns = np.indices(marked.shape)
    return np.array([(columns * marked).sum(), (rows * marked).sum()]) / marked.sum()


def _white(image: Image.Image) -> NDArray[np.floating]:
    # Outside of the image is grey, not white.
    return np.clip(np.array(image)[..., 0].astype(float) - 130, 0, None)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("person_size", [0.6, 0.25])
def test_image_keypoints_and_mask_move_alike(seed: int, person_size: float) -> None:
    image, keypoints, mask = _spot(seed)
    augmentation = Augmentation(person_size=person_size, shift=0.05)
    box = np.array([70, 30, 130, 80], dtype=np.float32)
    placement = random_placement(box, augmentation, np.random.default_rng(seed), side=SIDE)
    placed = place_keypoints(keypoints, placement, side=SIDE)
    (index,) = np.nonzero(placed[:, 2])[0]
    white = _white(place_image(image, placement, side=SIDE))
    np.testing.assert_allclose(_middle(white), placed[index, :2], atol=0.25)
    np.testing.assert_allclose(_middle(place_mask(mask, placement, side=SIDE)), placed[index, :2], atol=0.5)


def test_a_mirror_swaps_left_and_right_and_twice_changes_nothing() -> None:
    augmentation = Augmentation(person_size=0.5, zoom=(1, 1), degrees=0, shift=0, mirror=1)
    box = np.array([0, 0, 48, 48], dtype=np.float32)
    mirror = random_placement(box, augmentation, np.random.default_rng(0), side=SIDE)
    keypoints = np.random.default_rng(1).uniform(5, 40, size=(17, 3)).astype(np.float32)
    keypoints[:, 2] = 2
    once = place_keypoints(keypoints, mirror, side=SIDE)
    left, right = KEYPOINTS.index("left_wrist"), KEYPOINTS.index("right_wrist")
    # The box's middle is the square's: pixel 24 and its mirror image are as far from it on either side.
    assert once[right, 0] == pytest.approx(24 + 95 - (keypoints[left, 0] + 48), abs=1e-4)
    back = random_placement(
        np.array([24, 24, 72, 72], dtype=np.float32), augmentation, np.random.default_rng(0), side=SIDE
    )
    shifted = keypoints + np.array([24, 24, 0], np.float32)
    np.testing.assert_allclose(place_keypoints(once, back, side=SIDE), shifted, atol=1e-4)


def test_every_left_has_its_right() -> None:
    mirrored = [KEYPOINTS[place] for place in MIRRORED]
    swap = {"left": "right", "right": "left"}
    expected = [
        "_".join([swap.get(name.split("_")[0], name.split("_")[0]), *name.split("_")[1:]]) for name in KEYPOINTS
    ]
    assert mirrored == expected


def test_a_keypoint_outside_the_square_is_not_labelled() -> None:
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[0] = 150, 50, 2
    keypoints[1] = 10, 50, 1
    corner = np.array([[1.0, 0, 0], [0, 1, 0]])
    placed = place_keypoints(keypoints, corner, side=SIDE)
    assert placed[0].tolist() == [0, 0, 0]
    assert placed[1].tolist() == [10, 50, 1]


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (96, 96), (700, 30)])
def test_a_whole_image_fills_the_square_along_its_longer_side(size: tuple[int, int]) -> None:
    placement = fitted(*size, side=SIDE)
    placed = np.array(place_image(Image.new("RGB", size, (255, 255, 255)), placement, side=SIDE))
    is_white = (placed == 255).all(axis=2)
    assert is_white.any(axis=1).sum() == pytest.approx(SIDE * size[1] / max(size), abs=1)
    assert is_white.any(axis=0).sum() == pytest.approx(SIDE * size[0] / max(size), abs=1)
    assert (placed[~is_white.any(axis=1)][2:] == FILL_COLOUR).all()


def test_augmentation_stays_within_its_bounds() -> None:
    augmentation = Augmentation(person_size=0.6, zoom=(0.5, 1.1), degrees=40, shift=0.1, mirror=0.5)
    box = np.array([20, 30, 60, 130], dtype=np.float32)
    placements = [random_placement(box, augmentation, np.random.default_rng(seed), side=SIDE) for seed in range(300)]
    scales = np.array([scale_of(placement) for placement in placements]) * 100 / (0.6 * SIDE)
    middles = np.array([placement @ (40, 80, 1) for placement in placements])
    is_mirrored = np.array([np.linalg.det(placement[:, :2]) < 0 for placement in placements])
    turns = [np.degrees(np.arctan2(placement[1, 0], placement[1, 1])) for placement in placements]
    assert scales.min() == pytest.approx(0.5, abs=0.02)
    assert scales.max() == pytest.approx(1.1, abs=0.02)
    assert np.abs(middles - SIDE / 2).max() == pytest.approx(0.1 * SIDE, abs=0.2)
    assert np.abs(turns).max() == pytest.approx(40, abs=1)
    assert is_mirrored.mean() == pytest.approx(0.5, abs=0.1)


def test_a_box_is_placed_around_its_corners() -> None:
    quarter_turn = np.array([[0.0, -2, 100], [2, 0, 0]])
    assert place_box(np.array([10, 20, 30, 25], np.float32), quarter_turn).tolist() == [50, 20, 60, 60]
