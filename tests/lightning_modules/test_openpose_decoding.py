"""People from maps: the way back from targets, and what peaks, limbs and assembly do one by one."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.openpose.decoding import Connection, Peaks, Pose, Thresholds, assemble, decode_poses, find_peaks
from lightning_modules.openpose.skeleton import JOINTS
from lightning_modules.openpose.targets import draw_targets
from tests.lightning_modules.openpose_people import random_people

HEIGHT, WIDTH = 368, 552


def _there_and_back(joints: Tensor) -> list[Pose]:
    maps = draw_targets(joints, torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool), stride=8, sigma=7.0, limb_width=8.0)
    return decode_poses(maps.fields[0].numpy(), maps.heatmaps[0].numpy(), stride=8, thresholds=Thresholds())


def _recovered(person: Tensor, poses: list[Pose]) -> int:
    """Of a person's labelled joints, how many the pose that has most of them has within two pixels."""
    is_labelled = person[:, 2].numpy() > 0
    best = 0
    for pose in poses:
        distance = np.linalg.norm(pose.joints[:, :2] - person[:, :2].numpy(), axis=1)
        best = max(best, int((is_labelled & (pose.joints[:, 2] > 0) & (distance < 2)).sum()))
    return best


@pytest.mark.parametrize("count", range(1, 9))
def test_maps_of_people_give_back_their_joints_within_two_pixels(count: int) -> None:
    found = labelled = 0
    for seed in range(20):
        joints = random_people(np.random.default_rng(seed), count=count, height=HEIGHT, width=WIDTH)
        poses = _there_and_back(joints)
        found += sum(_recovered(person, poses) for person in joints[0])
        labelled += int((joints[..., 2] > 0).sum())
    assert found >= 0.99 * labelled


@pytest.mark.parametrize("place", [(43.5, 43.5), (45.0, 41.2), (47.5, 43.5), (47.49, 39.51)])
def test_a_gaussians_peak_is_found_between_cells(place: tuple[float, float]) -> None:
    joints = torch.zeros(1, 1, len(JOINTS), 3)
    joints[0, 0, 0] = torch.tensor([*place, 2.0])
    maps = draw_targets(joints, torch.zeros(1, 96, 96, dtype=torch.bool), stride=8, sigma=7.0, limb_width=8.0)
    peaks = find_peaks(maps.heatmaps[0, :-1].numpy(), threshold=0.1)
    assert len(peaks.joint) == 1
    np.testing.assert_allclose(peaks.xy[0] * 8 + 3.5, place, atol=0.01)


def test_two_people_side_by_side_are_not_one() -> None:
    person = random_people(np.random.default_rng(0), count=1, height=HEIGHT, width=WIDTH)
    beside = person.clone()
    beside[..., 0] += 90
    assert len(_there_and_back(torch.cat([person, beside], dim=1))) == 2


def test_someone_of_fewer_joints_than_asked_for_is_nobody() -> None:
    joints = torch.zeros(1, 1, len(JOINTS), 3)
    for joint, y in (("neck", 100.0), ("nose", 60.0)):
        joints[0, 0, JOINTS.index(joint)] = torch.tensor([100.0, y, 2.0])
    assert _there_and_back(joints) == []
    joints[0, 0, JOINTS.index("right_eye")] = torch.tensor([90.0, 50.0, 2.0])
    assert len(_there_and_back(joints)) == 1


def test_empty_maps_have_nobody_and_noise_ends_in_time() -> None:
    nothing = np.zeros((38, 46, 46), np.float32), np.zeros((19, 46, 46), np.float32)
    assert decode_poses(*nothing, stride=8, thresholds=Thresholds()) == []
    generator = np.random.default_rng(0)
    noise = (generator.normal(scale=0.3, size=maps.shape).astype(np.float32) for maps in nothing)
    decode_poses(*noise, stride=8, thresholds=Thresholds())


def _peaks(*joints: int) -> Peaks:
    return Peaks(np.array(joints), np.zeros((len(joints), 2), np.float32), np.ones(len(joints), np.float32))


def test_a_peak_has_one_limb_of_a_kind_the_strongest() -> None:
    # One neck, two right hips; the limb from neck to right hip is the first.
    people = assemble(_peaks(1, 8, 8), [Connection(0, 0, 2, 0.9), Connection(0, 0, 1, 0.5)])
    assert [person.peaks for person in people] == [{1: 0, 8: 2}]


def test_parts_that_come_to_share_a_limb_are_one_person_if_no_joint_is_double() -> None:
    hip, knee = Connection(0, 0, 1, 0.9), Connection(1, 1, 2, 0.8)
    elbow, shoulder = Connection(7, 3, 4, 0.7), Connection(6, 0, 3, 0.6)
    (person,) = assemble(_peaks(1, 8, 9, 2, 3), [hip, knee, elbow, shoulder])
    assert person.peaks.keys() == {1, 8, 9, 2, 3}
    assert person.limb_score == pytest.approx(3.0)


def test_a_shoulder_and_an_ear_alone_make_nobody() -> None:
    assert assemble(_peaks(2, 16), [Connection(9, 0, 1, 0.9)]) == []
