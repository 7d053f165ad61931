"""What a clip costs before a network sees it: decoded anew, from remembered frames, from a folder of images."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
from PIL import Image

from benchmarks.measuring import Figure, compare
from datamodules.clip_files import ClipReader, FrameSize, decode
from datamodules.clip_sampling import SegmentSampling

ROUNDS = 11
# As UCF101 and the action clips of the tests: 320 x 240, here 4 seconds at 25 frames a second.
HEIGHT, WIDTH, NUM_FRAMES, RATE = 240, 320, 100, 25
# What C3D's clips are brought to.
SIZE = FrameSize(128, 171)
SHOWN = SegmentSampling(16)


def write_files(folder: Path) -> tuple[Path, Path]:
    """The same noisy drift as a video in MPEG-4 and as a folder of JPEG files."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(256, size=(30, 80, 3), dtype=np.uint8))
    wide = np.asarray(coarse.resize((2 * WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    grain = generator.integers(-8, 9, size=(HEIGHT, WIDTH, 3))
    video, images = folder / "clip.mp4", folder / "frames"
    images.mkdir()
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 1_000_000
        for number in range(NUM_FRAMES):
            frame = np.clip(wide[:, 3 * number : 3 * number + WIDTH] + grain, 0, 255).astype(np.uint8)
            Image.fromarray(frame).save(images / f"{number:04d}.jpg", quality=90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return video, images


def _seconds(read: Callable[[], np.ndarray], *, times: int) -> float:
    # Of one thread's own work: on a shared machine the clock on the wall mostly measures the others'.
    started = time.process_time()
    for _ in range(times):
        np.ascontiguousarray(read()[SHOWN.middle(NUM_FRAMES)])
    return (time.process_time() - started) / times


def measure() -> dict[str, list[Figure]]:
    """Seconds of processor time for 16 frames of a clip."""
    with tempfile.TemporaryDirectory() as name:
        video, images = write_files(Path(name))
        reader = ClipReader(SIZE, cache_dir=Path(name) / "cache")
        # Remembered from here on.
        reader(video)
        what = f"16 of {NUM_FRAMES} frames of {WIDTH} x {HEIGHT}, brought to {SIZE.width} x {SIZE.height}"
        return {
            what: compare(
                {
                    "video decoded": partial(_seconds, partial(decode, video, SIZE), times=1),
                    "decoded frames remembered on disk": partial(_seconds, partial(reader, video), times=20),
                    "folder of JPEG files": partial(_seconds, partial(decode, images, SIZE), times=1),
                },
                rounds=ROUNDS,
            )
        }
