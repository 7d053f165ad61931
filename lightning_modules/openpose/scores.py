"""How well people are found: COCO's average precision by OKS, and PCK."""

import io
from contextlib import redirect_stdout
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]
from torch import Tensor
from torchmetrics import Metric

from lightning_modules.openpose.decoding import Pose
from lightning_modules.openpose.skeleton import COCO_PLACES

NUM_KEYPOINTS = 17
# Rows of the metric's state: image, then area, crowd, box and keypoints; or image, then score and keypoints.
_PERSON_COLUMNS = 1 + 1 + 1 + 4 + 3 * NUM_KEYPOINTS
_POSE_COLUMNS = 1 + 1 + 3 * NUM_KEYPOINTS
# The 20 best people of an image count, as in COCO.
_MOST_PEOPLE = 20
# A keypoint is correct within this part of its person's box, its longer side (Yang and Ramanan,
# https://doi.org/10.1109/TPAMI.2012.261, section 6.2).
_PCK_FRACTION = 0.1


class People(NamedTuple):
    """A batch's annotated people, as `KeypointBatch` has them."""

    keypoints: Float[Tensor, "B G 17 3"]
    box_xyxy: Float[Tensor, "B G 4"]
    area: Float[Tensor, "B G"]
    is_crowd: Bool[Tensor, "B G"]
    image_id: Int64[Tensor, " B"]


class PoseScores(Metric):
    """AP by OKS (https://cocodataset.org/#keypoints-eval), of 0.50 to 0.95, of 0.50 and of 0.75, by pycocotools; PCK.

    People without labelled keypoints and crowds are nobody to be found, and nobody's mistake if found. With no one to
    find, AP is -1, pycocotools' sign for that.
    """

    full_state_update = False
    people: list[Tensor]
    poses: list[Tensor]
    image_ids: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("people", "poses", "image_ids"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, poses: list[list[Pose]], people: People) -> None:
        """Take in what was found and what is there, in the same pixels, for each image of a batch."""
        device = people.keypoints.device
        is_someone = people.area > 0
        image = people.image_id[:, None].expand_as(people.area)
        columns = (image, people.area, people.is_crowd, people.box_xyxy, people.keypoints.flatten(start_dim=2))
        rows = torch.cat([c.double().reshape(*people.area.shape, -1) for c in columns], dim=2)
        self.people.append(rows[is_someone])
        self.poses.append(torch.from_numpy(pose_rows(poses, people.image_id.tolist())).to(device))
        self.image_ids.append(people.image_id)

    def compute(self) -> dict[str, Tensor]:
        people = _gathered(self.people).reshape(-1, _PERSON_COLUMNS)
        poses = _gathered(self.poses).reshape(-1, _POSE_COLUMNS)
        truth = [_person(index, row) for index, row in enumerate(people, start=1)]
        found = [_pose(index, row) for index, row in enumerate(poses, start=1)]
        evaluation = _evaluate(truth, found, [int(image_id) for image_id in _gathered(self.image_ids)])
        scores = {
            "oks_ap": evaluation.stats[0],
            "oks_ap_50": evaluation.stats[1],
            "oks_ap_75": evaluation.stats[2],
            "pck": _pck(evaluation, truth, found),
        }
        return {name: torch.tensor(float(value), dtype=torch.float32) for name, value in scores.items()}


def pose_rows(poses: list[list[Pose]], image_ids: list[int]) -> Float[np.ndarray, "N columns"]:
    """Image, score and COCO's keypoints of every pose; a joint that was not found is at the origin, as COCO has it."""
    of_coco = np.argsort(COCO_PLACES)[1:]
    rows = [
        np.concatenate([[image_id, pose.score], pose.joints[of_coco].ravel()])
        for image_id, image_poses in zip(image_ids, poses, strict=True)
        for pose in image_poses
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, _POSE_COLUMNS)


def _gathered(state: list[Tensor] | Tensor) -> NDArray[Any]:
    # After processes have exchanged it, a list state is a tensor.
    rows = torch.cat(state) if isinstance(state, list) and state else state
    return rows.cpu().numpy() if isinstance(rows, Tensor) else np.zeros(0)


def _person(index: int, row: Float[np.ndarray, " columns"]) -> dict[str, object]:
    left, top, right, bottom = row[3:7]
    return {
        "id": index,
        "image_id": int(row[0]),
        "category_id": 1,
        "area": row[1],
        "iscrowd": int(row[2]),
        "bbox": [left, top, right - left, bottom - top],
        "keypoints": row[7:].tolist(),
        "num_keypoints": int((row[9::3] > 0).sum()),
    }


def _pose(index: int, row: Float[np.ndarray, " columns"]) -> dict[str, object]:
    x, y = row[2::3], row[3::3]
    box = [x.min(), y.min(), x.max() - x.min(), y.max() - y.min()]
    return {
        "id": index,
        "image_id": int(row[0]),
        "category_id": 1,
        "score": row[1],
        "keypoints": row[2:].tolist(),
        "bbox": box,
        "area": box[2] * box[3],
    }


def _evaluate(truth: list[dict[str, object]], found: list[dict[str, object]], image_ids: list[int]) -> COCOeval:
    # pycocotools reports its progress on the screen.
    with redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (truth, found):
            side = COCO()
            side.dataset = {
                "images": [{"id": image_id} for image_id in image_ids],
                "categories": [{"id": 1}],
                "annotations": annotations,
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, iouType="keypoints")
        evaluation.params.maxDets = [_MOST_PEOPLE]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _pck(evaluation: COCOeval, truth: list[dict[str, object]], found: list[dict[str, object]]) -> float:
    """The part of labelled keypoints found near enough, in the person that pycocotools matched at the lowest OKS.

    Yang and Ramanan know which person is which; here who is not found has no correct keypoint.
    """
    num_labelled = num_correct = 0
    matches = {
        int(person): int(pose)
        for image in evaluation.evalImgs
        # Of all areas, the first threshold.
        if image is not None and tuple(image["aRng"]) == tuple(evaluation.params.areaRng[0])
        for person, pose in zip(image["gtIds"], image["gtMatches"][0], strict=True)
    }
    for person in truth:
        if person["iscrowd"] or not person["num_keypoints"]:
            continue
        keypoints = np.reshape(cast("list[float]", person["keypoints"]), (-1, 3))
        is_labelled = keypoints[:, 2] > 0
        num_labelled += int(is_labelled.sum())
        if pose := matches.get(cast("int", person["id"]), 0):
            seen = np.reshape(cast("list[float]", found[pose - 1]["keypoints"]), (-1, 3))
            distance = np.linalg.norm(seen[:, :2] - keypoints[:, :2], axis=1)
            reach = _PCK_FRACTION * max(cast("list[float]", person["bbox"])[2:])
            num_correct += int((is_labelled & (distance <= reach)).sum())
    return num_correct / num_labelled if num_labelled else -1.0
