"""Generated clips whose class is a motion."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.clip_files import FrameSize, decode
from datamodules.moving_shapes import MOTIONS, VERSION, MovingShapes, draw_clip
from datamodules.randomness import seed_of

FEW = {"num_train": 8, "num_val": 4, "num_test": 4, "num_frames": 6, "image_size": 32}


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_a_shape_moves_as_its_class_says(motion: str) -> None:
    right, down = MOTIONS[motion]
    for seed in range(5):
        clip = np.stack(draw_clip(np.random.default_rng(seed), motion, num_frames=8, side=32)).astype(int)
        # The step by which the first frame's change of the ground best agrees with the last's.
        ground = np.median(clip, axis=0)
        moved = (np.abs(clip - ground).sum(axis=3) > 60).astype(int)
        steps = range(-15, 16)
        overlap = [[(np.roll(moved[2], (y, x), axis=(0, 1)) & moved[5]).sum() for x in steps] for y in steps]
        y, x = np.unravel_index(np.argmax(overlap), (31, 31))
        assert np.sign(x - 15) == right
        assert np.sign(y - 15) == down


def test_the_same_settings_write_the_same_pixels(tmp_path: Path) -> None:
    for name in ("one", "two"):
        MovingShapes(**FEW).write(tmp_path / name)
    folders = [MovingShapes(**FEW).folder(tmp_path / name) for name in ("one", "two")]
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*.mp4")) for folder in folders]
    assert files[0] == files[1]
    for file in files[0]:
        size = FrameSize(32, 32)
        np.testing.assert_array_equal(decode(folders[0] / file, size), decode(folders[1] / file, size))


def test_written_clips_are_whole_videos_of_every_class(tmp_path: Path) -> None:
    MovingShapes(**FEW).write(tmp_path)
    folder = MovingShapes(**FEW).folder(tmp_path)
    for motion in MOTIONS:
        assert len(list((folder / "train" / motion).iterdir())) == 2
        assert len(decode(next((folder / "test" / motion).iterdir()), FrameSize(32, 32))) == 6


def test_coding_leaves_no_trace_of_the_frame_before(tmp_path: Path) -> None:
    """A trace would tell the direction in a single frame: the ground must be as far off behind a shape as ahead."""
    MovingShapes(**FEW).write(tmp_path)
    errors = []
    for number, motion in enumerate(sorted(MOTIONS)):
        drawn = np.stack(
            draw_clip(np.random.default_rng(seed_of(VERSION, 0, number)), motion, num_frames=6, side=32)
        ).astype(int)
        file = MovingShapes(**FEW).folder(tmp_path) / "train" / motion / f"{number:05d}.mp4"
        difference = np.abs(decode(file, FrameSize(32, 32)) - drawn).sum(axis=3)
        # Where the shape was one frame ago and is no more, and where it will be and is not yet.
        changed = np.abs(np.diff(drawn, axis=0)).sum(axis=3) > 60
        errors.append((difference[1:-1][changed[:-1]].mean(), difference[1:-1][changed[1:]].mean()))
    behind, ahead = np.mean(errors, axis=0)
    assert behind == pytest.approx(ahead, rel=0.25)


def test_too_few_clips_for_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 clips of 2 frames"):
        MovingShapes(**FEW | {"num_val": 3})
