"""Clips as batches: what is shown, in which order, and what becomes of clips that cannot be shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.loading import Draw
from datamodules.unreadable import UnreadableSample
from datamodules.video_folder import VideoFolderDataModule
from tests.datamodules.clips import HEIGHT, WIDTH, grey_levels, write_video


def build(folder: Path, **changes: Any) -> VideoFolderDataModule:
    settings: dict[str, Any] = {
        "folder": str(folder),
        "class_names": ["run", "walk"],
        "num_classes": 2,
        "group_column": None,
        "val_fraction": 0.0,
        "test_fraction": 0.0,
        "sampling": "segments",
        "num_frames": 4,
        "frame_step": 1,
        "frame_height": HEIGHT,
        "frame_width": WIDTH,
        "image_size": 16,
        "center_crop_fraction": 1.0,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "min_crop_area": 1.0,
        "flip_probability": 0.0,
        "color_jitter": 0.0,
        "cache_dir": None,
        "window_s": None,
        "hop_s": None,
        "batch_size": 2,
        "num_workers": 0,
        "seed": 1,
        "on_error": "raise",
    }
    data = VideoFolderDataModule(**settings | changes)
    data.setup("fit")
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("run", "walk"):
            for number in range(3):
                write_video(tmp_path / split / name / f"{number}.mp4", grey_levels(12))
    return tmp_path


def times(clip: Tensor) -> list[int]:
    """Which frame of `grey_levels` each is."""
    return [round(float(level) * 25.5) - 1 for level in clip.mean(dim=(0, 2, 3))]


def test_evaluation_shows_the_middles_of_segments(folder: Path) -> None:
    (clip, label), *_ = build(folder).evaluation_dataloader("val")
    assert clip.shape == (2, 3, 4, 16, 16)
    assert times(clip[0]) == [1, 4, 7, 10]
    assert label.tolist() == [0, 0]


def test_evaluation_shows_consecutive_frames_from_the_middle(folder: Path) -> None:
    (clip, _), *_ = build(folder, sampling="consecutive", frame_step=2).evaluation_dataloader("val")
    assert times(clip[0]) == [2, 4, 6, 8]


def test_what_training_shows_depends_on_seed_epoch_and_sample_alone(folder: Path) -> None:
    random = {"min_crop_area": 0.3, "flip_probability": 0.5, "color_jitter": 0.3}
    first, second = (
        build(folder, **random)._samples("train", build(folder, **random).training_view, seed=1) for _ in range(2)
    )
    torch.manual_seed(0)
    one = first.read(Draw(4, 2))[0]
    torch.manual_seed(1)
    second.read(Draw(0, 0))
    assert torch.equal(second.read(Draw(4, 2))[0], one)
    assert not torch.equal(second.read(Draw(4, 3))[0], one)


def test_all_frames_of_a_clip_are_cropped_and_mirrored_alike(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    still = np.kron(generator.integers(256, size=(6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), dtype=np.uint8))
    for split in ("train", "val"):
        for name in ("run", "walk"):
            write_video(tmp_path / split / name / "0.mp4", [still] * 8)
    data = build(tmp_path, min_crop_area=0.3, flip_probability=0.5, color_jitter=0.3)
    clip, _ = next(iter(data.train_dataloader()))
    # Of a still picture: what coding changes from frame to frame is all that may differ.
    assert (clip - clip[:, :, :1]).abs().mean() < 0.01


def test_workers_give_the_same_batches(folder: Path) -> None:
    batches = [list(build(folder, num_workers=workers, min_crop_area=0.5).train_dataloader()) for workers in (0, 2)]
    for alone, by_workers in zip(*batches, strict=True):
        assert torch.equal(alone.clip, by_workers.clip)
        assert torch.equal(alone.label, by_workers.label)


def test_a_clip_that_is_too_short_ends_the_run_by_name(folder: Path) -> None:
    write_video(folder / "train" / "walk" / "short.mp4", grey_levels(3))
    loader = build(folder, sampling="consecutive", batch_size=7).train_dataloader()
    with pytest.raises(UnreadableSample, match=r"short\.mp4: it has 3 frames, 4"):
        list(loader)


def test_clips_that_cannot_be_shown_are_skipped_and_counted(folder: Path) -> None:
    write_video(folder / "train" / "walk" / "short.mp4", grey_levels(3))
    (folder / "train" / "walk" / "damaged.mp4").write_bytes(b"nothing")
    loader: Any = build(folder, sampling="consecutive", batch_size=8, on_error="skip").train_dataloader()
    (batch,) = loader
    assert len(batch.label) == 6
    assert sorted(Path(skipped.file).name for skipped in loader.skipped) == ["damaged.mp4", "short.mp4"]


def test_a_users_file_is_one_window_or_several(folder: Path) -> None:
    file = write_video(folder / "mine.mp4", grey_levels(12))
    (whole,) = build(folder).files_dataloader([file])
    assert times(whole.clip[0]) == [1, 4, 7, 10]
    assert whole.begin_end_s.tolist() == [[0.0, pytest.approx(1.2)]]
    (sliding,) = build(folder, window_s=0.4, hop_s=0.3).files_dataloader([file])
    assert [times(window) for window in sliding.clip] == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [8, 9, 10, 11]]
    torch.testing.assert_close(sliding.begin_end_s, torch.tensor([[0.0, 0.4], [0.3, 0.7], [0.6, 1.0], [0.8, 1.2]]))


def test_a_users_file_that_is_no_video_is_named(folder: Path) -> None:
    (folder / "mine.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"mine\.txt: it cannot be read as a video.*leave it out"):
        list(build(folder).files_dataloader([folder / "mine.txt"]))


def test_the_fingerprint_changes_with_a_clip(folder: Path) -> None:
    before = build(folder).fingerprint()
    assert build(folder).fingerprint() == before
    write_video(folder / "val" / "run" / "0.mp4", grey_levels(5))
    assert build(folder).fingerprint() != before


def test_contents_count_the_clips_of_each_class(folder: Path) -> None:
    assert build(folder).contents()["train"] == {"run": 3, "walk": 3}


def test_half_a_window_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"window_s=1\.0, hop_s=None: give seconds above 0"):
        build(folder, window_s=1.0)
