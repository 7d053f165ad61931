"""Images, keypoints and masks brought together into a square: fitted, or scaled, turned, shifted and mirrored.

A placement is the affine matrix from the image to the square. It counts from corners, where pixel i reaches from i to
i + 1; keypoints count from the middle of the first pixel, half a pixel less.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from datamodules.coco_annotations import MIRRORED

# ImageNet's mean colour: zero, once normalised.
FILL_COLOUR = (124, 116, 104)


class Augmentation(NamedTuple):
    """How training images vary; defaults are those of the authors' code (their `aug` parameters) at 368 pixels.

    Attributes:
        person_size: of the person in the middle, its box's longer side as part of the square's, before `zoom`. (The
            authors take the height, which blows up people who lie.)
        zoom: smallest and largest factor on it.
        degrees: largest turn to either side.
        shift: largest way of the person from the middle, along each axis, as part of the square's side.
        mirror: how probable a mirror image is.
    """

    person_size: float = 0.6
    zoom: tuple[float, float] = (0.5, 1.1)
    degrees: float = 40.0
    shift: float = 40 / 368
    mirror: float = 0.5


Placement = Float[np.ndarray, "2 3"]


def fitted(width: int, height: int, *, side: int) -> Placement:
    """The whole image in the upper left corner of the square, as large as it goes."""
    scale = side / max(width, height)
    return np.array([[scale, 0, 0], [0, scale, 0]])


def random_placement(
    box_xyxy: Float[np.ndarray, " 4"], augmentation: Augmentation, generator: np.random.Generator, *, side: int
) -> Placement:
    """A person near the middle of the square, varied by chance."""
    zoom_low, zoom_high = augmentation.zoom
    zoom, turn, shift_x, shift_y, mirror = generator.uniform(size=5)
    size = max(box_xyxy[2] - box_xyxy[0], box_xyxy[3] - box_xyxy[1])
    scale = augmentation.person_size * side / size * (zoom_low + (zoom_high - zoom_low) * zoom)
    angle = math.radians(augmentation.degrees * (2 * turn - 1))
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    if mirror < augmentation.mirror:
        linear[0] *= -1
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    target = side * (0.5 + augmentation.shift * (2 * np.array([shift_x, shift_y]) - 1))
    return np.concatenate([linear, (target - linear @ middle)[:, None]], axis=1)


def scale_of(placement: Placement) -> float:
    """How much longer things are in the square than in the image."""
    return math.sqrt(abs(np.linalg.det(placement[:, :2])))


def place_image(image: Image.Image, placement: Placement, *, side: int) -> Image.Image:
    """The square, interpolated bilinearly, in the mean colour where the image does not reach."""
    # Bilinear interpolation looks at four pixels; what is made more than twice as small is averaged first.
    shrinkage = max(1, int(1 / scale_of(placement)))
    inverse = _inverse(placement)
    if shrinkage > 1:
        image = image.reduce(shrinkage)
        inverse = inverse / shrinkage
    return image.transform(
        (side, side),
        Image.Transform.AFFINE,
        tuple(inverse.ravel()),
        resample=Image.Resampling.BILINEAR,
        fillcolor=FILL_COLOUR,
    )


def place_mask(mask: Bool[np.ndarray, "h w"], placement: Placement, *, side: int) -> Bool[np.ndarray, "H W"]:
    """The square's pixels that show a marked one."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    placed = image.transform(
        (side, side), Image.Transform.AFFINE, tuple(_inverse(placement).ravel()), resample=Image.Resampling.NEAREST
    )
    return np.array(placed) > 0


def place_keypoints(
    keypoints: Float[np.ndarray, "17 3"], placement: Placement, *, side: int
) -> Float[np.ndarray, "17 3"]:
    """Keypoints in the square; those that fall outside are not labelled any more. A mirror swaps left and right."""
    xy = (keypoints[:, :2] + 0.5) @ placement[:, :2].T + placement[:, 2]
    is_inside = ((xy >= 0) & (xy < side)).all(axis=1) & (keypoints[:, 2] > 0)
    placed = np.concatenate([xy - 0.5, keypoints[:, 2:]], axis=1).astype(np.float32)
    placed[~is_inside] = 0
    return placed[list(MIRRORED)] if np.linalg.det(placement[:, :2]) < 0 else placed


def place_box(box_xyxy: Float[np.ndarray, " 4"], placement: Placement) -> Float[np.ndarray, " 4"]:
    """The box around the four corners' new places."""
    corners = box_xyxy[[[0, 1], [2, 1], [0, 3], [2, 3]]] @ placement[:, :2].T + placement[:, 2]
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _inverse(placement: Placement) -> Placement:
    linear = np.linalg.inv(placement[:, :2])
    return np.concatenate([linear, (-linear @ placement[:, 2])[:, None]], axis=1)
