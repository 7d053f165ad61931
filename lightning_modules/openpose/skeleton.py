"""OpenPose's 18 joints and 19 limbs, and how they relate to COCO's 17 keypoints."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

# Order of the authors' COCO model; right and left are the person's own.
JOINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
# Where the middle of COCO's shoulders goes.
NECK = 1
# Of each joint, its place among COCO's keypoints; the neck has none.
COCO_PLACES = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
COCO_SHOULDERS = (5, 6)


class Limb(NamedTuple):
    """Two joints that a part affinity field connects, the field pointing from the first to the second."""

    start: int
    end: int


# Order of the authors' COCO model: limb k has the channels 2k (x) and 2k + 1 (y).
LIMBS = tuple(
    Limb(*pair)
    for pair in (
        (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 2), (2, 3), (3, 4), (2, 16),
        (1, 5), (5, 6), (6, 7), (5, 17), (1, 0), (0, 14), (0, 15), (14, 16), (15, 17),
    )
)  # fmt: skip
# Shoulders to ears: they join parts of a person, but by themselves do not make one.
REDUNDANT_LIMBS = frozenset({9, 13})
NUM_FIELD_CHANNELS = 2 * len(LIMBS)
# One map for each joint, and the background.
NUM_HEATMAPS = len(JOINTS) + 1


def joints_of_keypoints(keypoints: Float[Tensor, "B G 17 3"]) -> Float[Tensor, "B G J 3"]:
    """(x, y, visibility) of the 18 joints; the neck is half-way between two labelled shoulders, else not labelled."""
    joints = keypoints[:, :, list(COCO_PLACES)]
    left, right = (keypoints[:, :, shoulder] for shoulder in COCO_SHOULDERS)
    position = (left[..., :2] + right[..., :2]) / 2
    # 0 if one is not labelled, else the less visible one's.
    visibility = torch.minimum(left[..., 2:], right[..., 2:])
    joints[:, :, NECK] = torch.cat([position, visibility], dim=-1)
    return joints
