"""Frames of video files and of folders of images, whole or named as unreadable."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.clip_files import ClipReader, FrameSize, decode, frame_rate
from datamodules.unreadable import UnreadableSample
from tests.datamodules.clips import HEIGHT, WIDTH, grey_levels, write_video

SIZE = FrameSize(HEIGHT, WIDTH)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv"])
def test_every_container_gives_all_frames_in_order(name: str, tmp_path: Path) -> None:
    frames = decode(write_video(tmp_path / name, grey_levels(12)), SIZE)
    assert frames.shape == (12, HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), np.arange(10, 130, 10), atol=2)


def test_a_folder_of_images_gives_the_frames_of_the_same_video(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    patches = generator.integers(60, 200, size=(5, 3, 4, 3), dtype=np.uint8)
    clip = [np.kron(patch, np.ones((8, 8, 1), dtype=np.uint8)) for patch in patches]
    for number, frame in enumerate(clip):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number:03d}.png")
    size = FrameSize(12, 16)
    video = decode(write_video(tmp_path / "clip.mp4", clip), size)
    # A codec keeps colours at half the resolution.
    assert np.abs(video.astype(int) - decode(tmp_path / "frames", size)).mean() < 8


def test_frames_are_made_smaller_by_averaging(tmp_path: Path) -> None:
    stripes = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    (tmp_path / "frames").mkdir()
    Image.fromarray(stripes).save(tmp_path / "frames" / "0.png")
    frames = decode(tmp_path / "frames", FrameSize(HEIGHT // 2, WIDTH // 2))
    np.testing.assert_allclose(frames, 100, atol=2)


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("clip.mp4", lambda content: b"", "cannot be read as a video from its beginning"),
        ("clip.mp4", lambda content: content[: len(content) // 2], "cannot be read as a video from its beginning"),
        ("clip.avi", lambda content: content[: len(content) // 2], "after|breaks off|damaged"),
        ("clip.mp4", lambda content: b"no video at all", "cannot be read as a video from its beginning"),
    ],
)
def test_a_damaged_video_is_named_with_its_damage(name: str, damage: object, reason: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    noise = [generator.integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(12)]
    file = write_video(tmp_path / name, noise)
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UnreadableSample, match=f"{name}.*({reason})"):
        decode(file, SIZE)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSample, match=r"nothing\.mp4: "):
        decode(tmp_path / "nothing.mp4", SIZE)
    with pytest.raises(UnreadableSample, match="there is no such file"):
        ClipReader(SIZE, cache_dir=tmp_path)(tmp_path / "nothing.mp4")


def test_a_video_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    halves = np.full((HEIGHT, WIDTH, 3), 200, dtype=np.uint8)
    halves[:, WIDTH // 2 :] = 50
    file = write_video(tmp_path / "clip.mp4", [halves] * 4)
    # Of the file's track, what is to be done with a place (x, y) that counts from the upper left corner: nothing, or
    # the way of a quarter turn clockwise, to (-y, x).
    one = 1 << 16
    as_it_is = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    content = file.read_bytes()
    # The second is the track's, the first the whole file's.
    place = content.rindex(as_it_is)
    file.write_bytes(content[:place] + clockwise + content[place + len(clockwise) :])
    frame = decode(file, FrameSize(32, 24))[0]
    assert frame[2, 12].mean() == pytest.approx(200, abs=6)
    assert frame[29, 12].mean() == pytest.approx(50, abs=6)


def test_images_of_different_sizes_are_no_clip(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    Image.new("RGB", (8, 9)).save(tmp_path / "1.png")
    with pytest.raises(UnreadableSample, match=r"1\.png has another size"):
        decode(tmp_path, SIZE)


def test_an_empty_folder_has_no_frames(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSample, match="it has no frames"):
        decode(tmp_path, SIZE)


def test_remembered_frames_are_those_decoded(tmp_path: Path) -> None:
    file = write_video(tmp_path / "clip.mp4", grey_levels(6))
    reader = ClipReader(SIZE, cache_dir=tmp_path / "cache")
    first, second = reader(file), reader(file)
    np.testing.assert_array_equal(first, decode(file, SIZE))
    np.testing.assert_array_equal(second, first)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_video_that_is_written_anew_is_decoded_anew(tmp_path: Path) -> None:
    reader = ClipReader(SIZE, cache_dir=tmp_path / "cache")
    before = reader(write_video(tmp_path / "clip.mp4", grey_levels(6)))
    after = reader(write_video(tmp_path / "clip.mp4", grey_levels(9)))
    assert (len(before), len(after)) == (6, 9)


def test_the_frame_rate_is_the_files(tmp_path: Path) -> None:
    assert frame_rate(write_video(tmp_path / "clip.mp4", grey_levels(6), rate=15)) == 15


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "num_frames"),
    [("abseiling_k400.mp4", 250), ("v_Basketball_g01_c01.avi", 141), ("flipping_a_pancake.mkv", 310)],
)
def test_genuine_containers_are_decoded_to_their_end(name: str, num_frames: int, real_data: Path) -> None:
    frames = decode(real_data / "video" / "misc" / name, FrameSize(16, 16))
    assert len(frames) == num_frames
    assert frames.std() > 10
