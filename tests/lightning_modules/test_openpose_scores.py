"""OKS AP and PCK in cases whose values are known."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import Float

from lightning_modules.openpose.decoding import Pose
from lightning_modules.openpose.scores import People, PoseScores
from lightning_modules.openpose.skeleton import COCO_PLACES, JOINTS

# https://cocodataset.org/#keypoints-eval, section 1.3: of the nose, then of pairs from the eyes down to the ankles.
SIGMAS = [0.026] + [s for s in (0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089) for _ in range(2)]
AREA = 5_000.0


def _keypoints() -> Float[np.ndarray, "17 3"]:
    places = np.random.default_rng(0).uniform(20, 120, size=(17, 2))
    return np.concatenate([places, np.full((17, 1), 2.0)], axis=1).astype(np.float32)


def _pose(keypoints: Float[np.ndarray, "17 3"], *, score: float = 1.0) -> Pose:
    joints = np.zeros((len(JOINTS), 3), np.float32)
    for joint, place in enumerate(COCO_PLACES):
        if place >= 0:
            joints[joint] = [*keypoints[place, :2], 1.0]
    return Pose(joints, score)


def _people(*keypoints: Float[np.ndarray, "17 3"], is_crowd: bool = False) -> People:
    count = len(keypoints)
    return People(
        torch.tensor(np.stack(keypoints))[None],
        torch.tensor([[[20.0, 20.0, 120.0, 120.0]] * count]),
        torch.full((1, count), AREA),
        torch.tensor([[is_crowd] * count]),
        torch.tensor([7]),
    )


def _scores(poses: list[Pose], people: People) -> dict[str, float]:
    metric = PoseScores()
    metric.update([poses], people)
    return {name: float(value) for name, value in metric.compute().items()}


def test_who_is_found_exactly_scores_one() -> None:
    scores = _scores([_pose(_keypoints())], _people(_keypoints()))
    assert scores == pytest.approx({"oks_ap": 1.0, "oks_ap_50": 1.0, "oks_ap_75": 1.0, "pck": 1.0})


@pytest.mark.parametrize("away", [1.0, 4.0, 8.0, 12.0])
def test_ap_counts_the_thresholds_below_the_similarity_by_its_formula(away: float) -> None:
    shifted = _keypoints() + np.array([away, 0, 0], np.float32)
    similarity = np.mean([math.exp(-(away**2) / (2 * AREA * (2 * sigma) ** 2)) for sigma in SIGMAS])
    passed = sum(similarity >= threshold for threshold in np.linspace(0.5, 0.95, 10))
    assert _scores([_pose(shifted)], _people(_keypoints()))["oks_ap"] == pytest.approx(passed / 10)


def test_a_better_scored_mistake_halves_the_precision() -> None:
    nowhere = _keypoints() + np.array([500, 500, 0], np.float32)
    poses = [_pose(nowhere, score=2.0), _pose(_keypoints())]
    assert _scores(poses, _people(_keypoints()))["oks_ap"] == pytest.approx(0.5)


def test_people_nobody_labelled_are_no_mistake_if_found() -> None:
    unlabelled = np.zeros((17, 3), np.float32)
    poses = [_pose(_keypoints() + np.array([3, 3, 0], np.float32), score=2.0), _pose(_keypoints())]
    assert _scores(poses, _people(_keypoints(), unlabelled))["oks_ap"] == pytest.approx(1.0)


def test_keypoints_within_a_tenth_of_the_box_are_correct() -> None:
    # The box is 100 high: 10 pixels.
    shifted = _keypoints()
    shifted[:5, 0] += 9.9
    shifted[5:9, 0] += 10.1
    assert _scores([_pose(shifted)], _people(_keypoints()))["pck"] == pytest.approx(13 / 17)


def test_who_is_not_found_has_no_correct_keypoint() -> None:
    other = _keypoints() + np.array([300, 0, 0], np.float32)
    scores = _scores([_pose(_keypoints())], _people(_keypoints(), other))
    assert scores["pck"] == pytest.approx(0.5)
    assert scores["oks_ap"] == pytest.approx(51 / 101)


def test_with_nobody_to_find_scores_are_minus_one() -> None:
    nobody = People(
        torch.zeros(1, 1, 17, 3),
        torch.zeros(1, 1, 4),
        torch.zeros(1, 1),
        torch.zeros(1, 1, dtype=torch.bool),
        torch.tensor([7]),
    )
    assert set(_scores([], nobody).values()) == set(_scores([_pose(_keypoints())], nobody).values()) == {-1.0}


def test_batches_add_up_and_a_reset_forgets() -> None:
    metric = PoseScores()
    metric.update([[]], _people(_keypoints()))
    metric.reset()
    for image_id in (1, 2):
        metric.update([[_pose(_keypoints())]], _people(_keypoints())._replace(image_id=torch.tensor([image_id])))
    assert float(metric.compute()["oks_ap"]) == pytest.approx(1.0)
