"""From maps to people (https://arxiv.org/abs/1611.08050, sections 2.2-2.4): peaks, scored limbs, greedy assembly.

All of it happens on the network's own small maps. Enlarging 57 maps to the image before looking for peaks, as the
authors' code does, costs most of its time and places joints no better than a parabola through three cells.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from lightning_modules.openpose.skeleton import JOINTS, LIMBS, REDUNDANT_LIMBS

# Values of the authors' code: points looked at along a limb, and which part of them must follow the field.
_POINTS_ON_A_LIMB = 10
_FOLLOWING_FRACTION = 0.8
# COCO counts the 20 best people of an image; an untrained network's maps may have hundreds of peaks.
_MOST_PEAKS_OF_A_JOINT = 40
# Below this a map's value says nothing about the place of its peak.
_SMALLEST_VALUE = 1e-4


class Thresholds(NamedTuple):
    """What counts as found; defaults are those of the authors' code.

    Attributes:
        peak: a joint's map must exceed.
        field: a point on a limb must have along the limb, to follow it.
        min_joints: a person must have.
        min_score: a person must have, per joint.
    """

    peak: float = 0.1
    field: float = 0.05
    min_joints: int = 3
    min_score: float = 0.2


class Pose(NamedTuple):
    """A person: (x, y, confidence) of each joint, confidence 0 if it was not found.

    `score` is the sum of what peaks and limbs have, up to about 2 for each joint. (The authors take the mean, by which
    three sharp joints go before seventeen; on generated figures the sum ranks people 0.013 of AP better.)
    """

    joints: Float[np.ndarray, "J 3"]
    score: float


class Peaks(NamedTuple):
    """Local maxima of all joints' maps in the joints' order; places in cells."""

    joint: Int[np.ndarray, " N"]
    xy: Float[np.ndarray, "N 2"]
    score: Float[np.ndarray, " N"]


class Connection(NamedTuple):
    """Two peaks that a limb may join; `score` is the mean field along it."""

    limb: int
    start: int
    end: int
    score: float


def decode_poses(
    fields: Float[np.ndarray, "P2 h w"], heatmaps: Float[np.ndarray, "J1 h w"], *, stride: int, thresholds: Thresholds
) -> list[Pose]:
    """People of one image, joints in pixels of the image that the network saw."""
    peaks = find_peaks(heatmaps[: len(JOINTS)], threshold=thresholds.peak)
    connections = connect(peaks, fields, threshold=thresholds.field)
    poses = []
    for person in assemble(peaks, connections):
        members = list(person.peaks.values())
        score = float(peaks.score[members].sum()) + person.limb_score
        if len(members) < thresholds.min_joints or score < thresholds.min_score * len(members):
            continue
        joints = np.zeros((len(JOINTS), 3), dtype=np.float32)
        found = peaks.joint[members]
        joints[found, :2] = peaks.xy[members] * stride + (stride - 1) / 2
        joints[found, 2] = peaks.score[members]
        poses.append(Pose(joints, score))
    return poses


def find_peaks(heatmaps: Float[np.ndarray, "J h w"], *, threshold: float) -> Peaks:
    """Cells above a threshold that none of their eight neighbours exceeds, refined to a fraction of a cell.

    The logarithm of a Gaussian is a parabola, so the one through a peak and its two neighbours has its top at the joint
    itself. Of equal neighbours, as a joint half-way between two cells leaves them, the first is the peak.
    """
    padded = np.pad(heatmaps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    joint, row, column = np.nonzero(heatmaps > threshold)
    # From the padded map's corner of each cell, its 3 x 3 surroundings.
    corner = np.ravel_multi_index((joint, row, column), padded.shape)
    around = (np.arange(3)[:, None] * padded.shape[2] + np.arange(3)).ravel()
    patch = padded.ravel()[corner[:, None] + around]
    is_peak = np.nonzero(patch.argmax(axis=1) == 4)[0]
    kept = is_peak[_strongest(joint[is_peak], patch[is_peak, 4])]
    joint, row, column, patch = joint[kept], row[kept], column[kept], patch[kept]
    logarithm = np.where(np.isneginf(patch), np.nan, np.log(np.maximum(patch, _SMALLEST_VALUE)))
    across, down = logarithm[:, 3:6], logarithm[:, 1::3]
    x, y = column + _top(across, _curvature(down)), row + _top(down, _curvature(across))
    return Peaks(joint, np.stack([x, y], axis=1).astype(np.float32), patch[:, 4])


def _curvature(values: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
    return np.asarray(2 * values[:, 1] - values[:, 0] - values[:, 2])


def _top(values: Float[np.ndarray, "N 3"], other_curvature: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Where the parabola through three cells has its top, from half a cell before the middle one to half a cell after.

    At the map's edge a cell is missing (NaN): a Gaussian is as curved along the other axis.
    """
    curvature = np.where(np.isnan(values).any(axis=1), other_curvature, _curvature(values))
    before, middle, after = values.T
    before = np.where(np.isnan(before), 2 * middle - after - curvature, before)
    after = np.where(np.isnan(after), 2 * middle - before - curvature, after)
    # Corners have no curvature at all.
    is_curved = curvature > 0
    return np.where(is_curved, np.clip((after - before) / (2 * np.where(is_curved, curvature, 1.0)), -0.5, 0.5), 0.0)


def _strongest(joint: Int[np.ndarray, " N"], score: Float[np.ndarray, " N"]) -> Int[np.ndarray, " M"]:
    """Of each joint the highest peaks, as many as could be people."""
    if np.bincount(joint, minlength=1).max() <= _MOST_PEAKS_OF_A_JOINT:
        return np.arange(len(joint))
    order = np.lexsort((-score, joint))
    rank = np.arange(len(joint)) - np.searchsorted(joint, joint[order])
    return np.sort(order[rank < _MOST_PEAKS_OF_A_JOINT])


def connect(peaks: Peaks, fields: Float[np.ndarray, "P2 h w"], *, threshold: float) -> list[Connection]:
    """Every limb's pairs of peaks that its field joins, limb by limb, the strongest first (equations 10 and 11)."""
    start, end, limb = _all_pairs(peaks)
    way = peaks.xy[end] - peaks.xy[start]
    length = np.maximum(np.linalg.norm(way, axis=1), np.float32(1e-6))
    unit = way / length[:, None]
    fraction = np.linspace(0, 1, _POINTS_ON_A_LIMB, dtype=np.float32)
    points = np.rint(peaks.xy[start][:, :, None] + way[:, :, None] * fraction).astype(np.intp)
    _, height, width = fields.shape
    cell = points[:, 1].clip(0, height - 1) * width + points[:, 0].clip(0, width - 1)
    flat = fields.reshape(len(fields), -1)
    along = flat[2 * limb[:, None], cell] * unit[:, :1] + flat[2 * limb[:, None] + 1, cell] * unit[:, 1:]
    # The authors' rule against limbs that are longer than half the image.
    score = along.mean(axis=1) + np.minimum(0.5 * height / length - 1, 0)
    is_joined = ((along > threshold).mean(axis=1) > _FOLLOWING_FRACTION) & (score > 0)
    order = np.nonzero(is_joined)[0]
    order = order[np.lexsort((-score[order], limb[order]))]
    columns = (limb[order].tolist(), start[order].tolist(), end[order].tolist(), score[order].tolist())
    return [Connection(*row) for row in zip(*columns, strict=True)]


def _all_pairs(peaks: Peaks) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the two peaks of every pair that a limb could join, and the limb."""
    first = np.searchsorted(peaks.joint, np.arange(len(JOINTS) + 1))
    starts, ends, counts = [], [], []
    for limb in LIMBS:
        of_start = np.arange(first[limb.start], first[limb.start + 1])
        of_end = np.arange(first[limb.end], first[limb.end + 1])
        starts.append(np.repeat(of_start, len(of_end)))
        ends.append(np.tile(of_end, len(of_start)))
        counts.append(len(of_start) * len(of_end))
    return np.concatenate(starts), np.concatenate(ends), np.repeat(np.arange(len(LIMBS)), counts)


@dataclass
class Person:
    """A person in the making: the peak of each joint found so far, and the sum of its limbs' scores."""

    peaks: dict[int, int]
    limb_score: float = 0.0


def assemble(peaks: Peaks, connections: list[Connection]) -> list[Person]:
    """Put limbs together that share a joint (section 2.4).

    A peak has at most one limb of a kind, the strongest. Two people who come to share a limb are one, if they have no
    joint twice.
    """
    joint_of = peaks.joint.tolist()
    person_of: dict[int, Person] = {}
    taken: set[tuple[int, int]] = set()
    for limb, start, end, score in connections:
        if (limb, start) in taken or (limb, end) in taken:
            continue
        taken.update(((limb, start), (limb, end)))
        first, second = person_of.get(start), person_of.get(end)
        if first is None and second is None and limb in REDUNDANT_LIMBS:
            continue
        first = first or Person({joint_of[start]: start})
        second = second or Person({joint_of[end]: end})
        if first is not second:
            if first.peaks.keys() & second.peaks.keys():
                continue
            first.peaks.update(second.peaks)
            first.limb_score += second.limb_score
            person_of.update(dict.fromkeys(first.peaks.values(), first))
        first.limb_score += score
    return list({id(person): person for person in person_of.values()}.values())
