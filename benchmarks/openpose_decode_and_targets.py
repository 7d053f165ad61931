"""OpenPose's decoding and targets against loops in the way that its first implementations and books have them.

The loops are written here for the comparison, over the same definitions: maps enlarged to the photograph before peaks
are looked for, pairs of peaks tried one by one, targets drawn person by person and limb by limb.
"""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measuring import Figure, compare
from lightning_modules.openpose.decoding import Thresholds, decode_poses
from lightning_modules.openpose.skeleton import JOINTS, LIMBS
from lightning_modules.openpose.targets import TargetMaps, draw_fields, draw_heatmaps, draw_targets

ROUNDS = 11
# Of openpose_coco, for which targets are drawn together.
BATCH_SIZE = 10
STRIDE, SIGMA, LIMB_WIDTH = 8, 7.0, 8.0
# A photograph, and the square that the network sees of it.
WIDTH, HEIGHT, SIDE = 640, 427, 368
_STANDING = np.array(
    [
        (0.0, -0.30), (0.0, -0.20), (-0.10, -0.20), (-0.16, -0.05), (-0.18, 0.10), (0.10, -0.20), (0.16, -0.05),
        (0.18, 0.10), (-0.07, 0.05), (-0.08, 0.28), (-0.08, 0.50), (0.07, 0.05), (0.08, 0.28), (0.08, 0.50),
        (-0.04, -0.34), (0.04, -0.34), (-0.09, -0.32), (0.09, -0.32),
    ]
)  # fmt: skip


def people(count: int) -> Tensor:
    """Joints of people side by side in two rows of the photograph, in the network's pixels."""
    generator = np.random.default_rng(count)
    columns = min(count, 4)
    middles = [
        ((i % columns + 0.5) * WIDTH / columns, (i // columns + 0.5) * HEIGHT / -(-count // columns))
        for i in range(count)
    ]
    places = np.stack([_STANDING * 170 + middle + generator.normal(scale=3, size=(18, 2)) for middle in middles])
    places = places.clip(2, (WIDTH - 3, HEIGHT - 3)) * SIDE / WIDTH
    return torch.tensor(np.concatenate([places, np.full((count, 18, 1), 2.0)], axis=2)[None], dtype=torch.float32)


def drawn(joints: Tensor) -> TargetMaps:
    """Target maps of the square."""
    is_ignored = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    return draw_targets(joints, is_ignored, stride=STRIDE, sigma=SIGMA, limb_width=LIMB_WIDTH)


def both_targets(joints: Tensor) -> tuple[Tensor, Tensor]:
    """Fields and heatmaps without the mask, which the loops have not either."""
    cells, is_labelled = (joints[..., :2] - (STRIDE - 1) / 2) / STRIDE, joints[..., 2] > 0
    size = {"height": SIDE // STRIDE, "width": SIDE // STRIDE}
    return (
        draw_fields(cells, is_labelled, limb_width=LIMB_WIDTH / STRIDE, **size),
        draw_heatmaps(cells, is_labelled, sigma=SIGMA / STRIDE, **size),
    )


def looped_targets(joints: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same maps, person by person, joint by joint, limb by limb, a grid for each."""
    cells = SIDE // STRIDE
    heatmaps = np.zeros((len(JOINTS) + 1, cells, cells))
    fields, counts = np.zeros((2 * len(LIMBS), cells, cells)), np.zeros((len(LIMBS), cells, cells))
    centre = (STRIDE - 1) / 2
    for person in joints:
        for joint, (x, y, _) in enumerate(person):
            column, row = np.meshgrid(np.arange(cells) * STRIDE + centre, np.arange(cells) * STRIDE + centre)
            exponent = ((column - x) ** 2 + (row - y) ** 2) / (2 * SIGMA**2)
            heatmaps[joint] = np.maximum(heatmaps[joint], np.exp(-exponent) * (exponent <= 4.6052))
        for index, limb in enumerate(LIMBS):
            start, end = (person[limb.start, :2] - centre) / STRIDE, (person[limb.end, :2] - centre) / STRIDE
            unit, reach = (end - start) / np.linalg.norm(end - start), LIMB_WIDTH / STRIDE
            left, right = (round(min(start[0], end[0]) - reach), round(max(start[0], end[0]) + reach))
            top, bottom = (round(min(start[1], end[1]) - reach), round(max(start[1], end[1]) + reach))
            column, row = np.meshgrid(range(max(0, left), min(cells, right)), range(max(0, top), min(cells, bottom)))
            is_inside = np.abs((column - start[0]) * unit[1] - (row - start[1]) * unit[0]) < reach
            at = (row[is_inside], column[is_inside])
            count = counts[index][at]
            for axis in (0, 1):
                channel = fields[2 * index + axis]
                channel[at] = (channel[at] * count + unit[axis]) / (count + 1)
            counts[index][at] += 1
    heatmaps[-1] = 1 - heatmaps[:-1].max(axis=0)
    return fields, heatmaps


def looped_peaks(heatmaps: NDArray[np.float32]) -> list[list[tuple[int, int, float]]]:
    """Of each joint the pixels above their four neighbours, in maps as large as the photograph."""
    found = []
    for heatmap in heatmaps:
        is_peak = heatmap > Thresholds().peak
        for axis in (0, 1):
            for step in (1, -1):
                is_peak &= heatmap >= np.roll(heatmap, step, axis=axis)
        rows, columns = np.nonzero(is_peak)
        found.append([(int(x), int(y), float(heatmap[y, x])) for x, y in zip(columns, rows, strict=True)])
    return found


def enlarged(small: Tensor) -> NDArray[np.float32]:
    """Maps of the square as maps of the photograph, in the two steps that the authors take."""
    square = F.interpolate(small, scale_factor=STRIDE, mode="bicubic")
    kept = square[:, :, : round(SIDE * HEIGHT / WIDTH)]
    return np.asarray(F.interpolate(kept, size=(HEIGHT, WIDTH), mode="bicubic")[0])


def looped_candidates(
    starts: list[tuple[int, int, float]], ends: list[tuple[int, int, float]], field: NDArray[np.float32]
) -> list[tuple[float, int, int]]:
    """Pairs of peaks that a field joins, pair by pair and point by point."""
    candidates = []
    for a, start in enumerate(starts):
        for b, end in enumerate(ends):
            way = (end[0] - start[0], end[1] - start[1])
            length = math.hypot(*way)
            if length == 0:
                continue
            following, total = 0, 0.0
            for x, y in zip(np.linspace(start[0], end[0], 10), np.linspace(start[1], end[1], 10), strict=True):
                along = float(field[:, round(y), round(x)] @ way) / length
                total += along
                following += along > Thresholds().field
            score = total / 10 + min(0.5 * HEIGHT / length - 1, 0)
            if following > 8 and score > 0:
                candidates.append((score, a, b))
    return sorted(candidates, reverse=True)


def looped_people(maps: TargetMaps) -> list[dict[int, tuple[float, float]]]:
    """People by enlarging both kinds of maps, then limb by limb and pair by pair."""
    heatmaps, fields = enlarged(maps.heatmaps), enlarged(maps.fields)
    peaks = looped_peaks(heatmaps[: len(JOINTS)])
    persons: list[dict[int, tuple[float, float]]] = []
    for index, limb in enumerate(LIMBS):
        used: tuple[set[int], set[int]] = (set(), set())
        candidates = looped_candidates(peaks[limb.start], peaks[limb.end], fields[2 * index : 2 * index + 2])
        for _, a, b in candidates:
            if a in used[0] or b in used[1]:
                continue
            used[0].add(a)
            used[1].add(b)
            start, end = peaks[limb.start][a][:2], peaks[limb.end][b][:2]
            owners = [p for p in persons if p.get(limb.start) == start or p.get(limb.end) == end]
            if not owners:
                persons.append({limb.start: start, limb.end: end})
            elif len(owners) == 1:
                owners[0].update({limb.start: start, limb.end: end})
            elif not owners[0].keys() & owners[1].keys():
                owners[0].update(owners[1])
                persons.remove(owners[1])
    return persons


def our_people(maps: TargetMaps) -> list[dict[int, tuple[float, float]]]:
    """People from the small maps, in the photograph's pixels."""
    poses = decode_poses(maps.fields[0].numpy(), maps.heatmaps[0].numpy(), stride=STRIDE, thresholds=Thresholds())
    scale = SIDE / WIDTH
    return [
        {j: ((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5) for j, (x, y, c) in enumerate(pose.joints) if c > 0}
        for pose in poses
    ]


def position_error(found: list[dict[int, tuple[float, float]]], joints: Tensor) -> float:
    """The median distance from each joint to the nearest of its kind that was found, in the photograph's pixels."""
    scale = SIDE / WIDTH
    errors = []
    for person in joints[0, :, :, :2].tolist():
        for joint, (x, y) in enumerate(person):
            place = ((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5)
            errors.append(min((math.dist(place, pose[joint]) for pose in found if joint in pose), default=math.inf))
    return float(np.median(errors))


def _seconds(work: Callable[[], object], *, times: int, num_images: int = 1) -> float:
    # Of one thread's own work: on a shared machine the clock on the wall mostly measures the others'.
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times / num_images


def measure() -> dict[str, list[Figure]]:
    """Seconds of processor time an image, by number of people; what each finds is compared first."""
    torch.set_num_threads(1)
    figures = {}
    for count in (1, 3, 8):
        joints = people(count)
        maps = drawn(joints)
        literal = joints[0].double().numpy()
        batch = joints.repeat(BATCH_SIZE, 1, 1, 1)
        for ours, theirs in zip((maps.fields, maps.heatmaps), looped_targets(literal), strict=True):
            np.testing.assert_allclose(ours[0], theirs, atol=1e-5)
        looped, found = looped_people(maps), our_people(maps)
        said = [f"{len(people)} found at {position_error(people, joints):.2f} px" for people in (looped, found)]
        figures[f"OpenPose, {count} people: decoding"] = compare(
            {
                f"enlarged maps, loops ({said[0]})": partial(_seconds, partial(looped_people, maps), times=1),
                f"lightning_modules.openpose.decoding ({said[1]})": partial(
                    _seconds, partial(our_people, maps), times=10
                ),
            },
            rounds=ROUNDS,
        )
        figures[f"OpenPose, {count} people: targets"] = compare(
            {
                "loops": partial(_seconds, partial(looped_targets, literal), times=1),
                "lightning_modules.openpose.targets": partial(_seconds, partial(both_targets, joints), times=10),
                f"lightning_modules.openpose.targets, {BATCH_SIZE} images at once": partial(
                    _seconds, partial(both_targets, batch), times=10, num_images=BATCH_SIZE
                ),
            },
            rounds=ROUNDS,
        )
    return figures
