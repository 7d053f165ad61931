"""Target maps against a literal loop over people, joints, limbs and cells."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.coco_annotations import KEYPOINTS
from lightning_modules.openpose.skeleton import COCO_PLACES, JOINTS, LIMBS, NECK, joints_of_keypoints
from lightning_modules.openpose.targets import TargetMaps, draw_targets
from tests.lightning_modules.openpose_people import random_people


def _draw(joints: Tensor, *, side: int = 96, stride: int = 8) -> TargetMaps:
    is_ignored = torch.zeros(len(joints), side, side, dtype=torch.bool)
    return draw_targets(joints, is_ignored, stride=stride, sigma=7.0, limb_width=8.0)


def _person(**places: tuple[float, float]) -> Tensor:
    """One person of whom only some joints are labelled."""
    joints = torch.zeros(1, 1, len(JOINTS), 3)
    for name, (x, y) in places.items():
        joints[0, 0, JOINTS.index(name)] = torch.tensor([x, y, 2.0])
    return joints


def _literal_heatmaps(joints: Tensor, *, height: int, width: int, stride: int, sigma: float) -> Tensor:
    maps = torch.zeros(len(JOINTS) + 1, height, width, dtype=torch.float64)
    for person in joints.double():
        for joint, (x, y, visibility) in enumerate(person.tolist()):
            for row in range(height):
                for column in range(width):
                    away_x = stride * column + (stride - 1) / 2 - x
                    away_y = stride * row + (stride - 1) / 2 - y
                    exponent = (away_x**2 + away_y**2) / (2 * sigma**2)
                    if visibility > 0 and exponent <= 4.6052:
                        maps[joint, row, column] = max(float(maps[joint, row, column]), math.exp(-exponent))
    maps[-1] = 1 - maps[:-1].amax(dim=0)
    return maps


def _literal_fields(joints: Tensor, *, height: int, width: int, stride: int, limb_width: float) -> Tensor:
    total = torch.zeros(2 * len(LIMBS), height, width, dtype=torch.float64)
    count = torch.zeros(len(LIMBS), height, width, dtype=torch.float64)
    for person in joints:
        for k, limb in enumerate(LIMBS):
            (x0, y0, v0), (x1, y1, v1) = (
                (float((x - (stride - 1) / 2) / stride), float((y - (stride - 1) / 2) / stride), float(v))
                for x, y, v in (person[limb.start], person[limb.end])
            )
            length = math.hypot(x1 - x0, y1 - y0)
            if v0 == 0 or v1 == 0 or length == 0:
                continue
            unit_x, unit_y, reach = (x1 - x0) / length, (y1 - y0) / length, limb_width / stride
            for row in range(max(0, round(min(y0, y1) - reach)), min(height, round(max(y0, y1) + reach))):
                for column in range(max(0, round(min(x0, x1) - reach)), min(width, round(max(x0, x1) + reach))):
                    if abs((column - x0) * unit_y - (row - y0) * unit_x) < reach:
                        total[2 * k, row, column] += unit_x
                        total[2 * k + 1, row, column] += unit_y
                        count[k, row, column] += 1
    return total / count.clamp(min=1).repeat_interleave(2, dim=0)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("stride", [4, 8])
def test_targets_equal_a_literal_loops(count: int, stride: int) -> None:
    generator = np.random.default_rng(count)
    joints = random_people(generator, count=count, height=96, width=128, tall=(70.0, 110.0))
    ours = draw_targets(joints, torch.zeros(1, 96, 128, dtype=torch.bool), stride=stride, sigma=7.0, limb_width=8.0)
    size = {"height": 96 // stride, "width": 128 // stride, "stride": stride}
    heatmaps = _literal_heatmaps(joints[0], sigma=7.0, **size)
    fields = _literal_fields(joints[0], limb_width=8.0, **size)
    torch.testing.assert_close(ours.heatmaps[0].double(), heatmaps, atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.fields[0].double(), fields, atol=1e-6, rtol=0)


def test_a_joint_at_a_cells_centre_has_its_peak_of_one_there() -> None:
    maps = _draw(_person(left_knee=(8 * 5 + 3.5, 8 * 2 + 3.5)))
    knee = maps.heatmaps[0, JOINTS.index("left_knee")]
    assert float(knee.max()) == 1.0
    assert np.unravel_index(int(knee.argmax()), knee.shape) == (2, 5)
    assert float(maps.heatmaps[0, -1, 2, 5]) == 0.0


def test_of_two_peoples_joints_the_nearer_counts() -> None:
    one, other = _person(nose=(20, 20)), _person(nose=(35, 20))
    both = _draw(torch.cat([one, other], dim=1)).heatmaps[0, 0]
    alone = [_draw(person).heatmaps[0, 0] for person in (one, other)]
    assert torch.equal(both, torch.maximum(*alone))


def test_a_field_is_the_limbs_direction_along_it_and_nothing_elsewhere() -> None:
    # Eyes to the right of the nose: limb 14 leads from the nose to the right eye.
    fields = _draw(_person(nose=(19.5, 43.5), right_eye=(75.5, 43.5))).fields[0]
    limb = LIMBS.index((JOINTS.index("nose"), JOINTS.index("right_eye")))
    along, across = fields[2 * limb], fields[2 * limb + 1]
    assert set(along.unique().tolist()) == {0.0, 1.0}
    assert along[5, 2:10].tolist() == [1.0] * 8
    assert along[7:].abs().sum() == along[:4].abs().sum() == across.abs().sum() == 0
    others = [channel for channel in range(38) if channel != 2 * limb]
    assert fields[others].abs().sum() == 0


def test_limbs_that_cross_have_their_mean_where_they_do() -> None:
    right = _person(nose=(3.5, 43.5), right_eye=(83.5, 43.5))
    down = _person(nose=(43.5, 3.5), right_eye=(43.5, 83.5))
    fields = _draw(torch.cat([right, down], dim=1)).fields[0]
    limb = LIMBS.index((JOINTS.index("nose"), JOINTS.index("right_eye")))
    assert fields[2 * limb : 2 * limb + 2, 5, 5].tolist() == [0.5, 0.5]


def test_what_is_not_labelled_and_limbs_of_no_length_leave_no_trace() -> None:
    nobody = torch.full((1, 2, len(JOINTS), 3), 40.0)
    nobody[..., 2] = 0
    maps = _draw(nobody)
    assert maps.fields.abs().sum() == maps.heatmaps[:, :-1].abs().sum() == 0
    assert (maps.heatmaps[:, -1] == 1).all()
    nobody[..., 2] = 2
    assert _draw(nobody).fields.abs().sum() == 0


def test_mixed_precision_does_not_round_targets() -> None:
    joints = random_people(np.random.default_rng(0), count=2, height=96, width=96, tall=(70.0, 90.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = _draw(joints)
    for ours, outside in zip(within, _draw(joints), strict=True):
        assert torch.equal(ours, outside)


def test_a_cell_counts_by_its_part_that_is_not_ignored() -> None:
    is_ignored = torch.zeros(1, 16, 16, dtype=torch.bool)
    is_ignored[0, :, :4] = True
    weight = draw_targets(_person(), is_ignored, stride=8, sigma=7.0, limb_width=8.0).weight
    assert weight[0, 0].tolist() == [[0.5, 1.0], [0.5, 1.0]]


def test_the_neck_is_between_two_labelled_shoulders_only() -> None:
    keypoints = torch.zeros(1, 2, 17, 3)
    keypoints[0, :, 5], keypoints[0, :, 6] = torch.tensor([10.0, 20, 2]), torch.tensor([30.0, 40, 1])
    keypoints[0, 1, 6] = 0
    neck = joints_of_keypoints(keypoints)[0, :, NECK]
    assert neck[0].tolist() == [20.0, 30.0, 1.0]
    assert neck[1, 2] == 0


def test_every_coco_keypoint_is_a_joint_of_its_name() -> None:
    assert [KEYPOINTS[place] if place >= 0 else "neck" for place in COCO_PLACES] == list(JOINTS)
