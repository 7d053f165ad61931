"""Generated video files whose class is a motion: a textured shape drifts right, left, up or down over a texture.

A single frame does not tell which: what leaves the picture on one side comes in again on the other, so that in every
class and at every moment the shape is anywhere with equal probability.
"""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datamodules.new_folder import new_folder
from datamodules.randomness import seed_of

# Of what is drawn: raise it with any change, so that no one takes old clips for new ones.
VERSION = 1
# Pixels to the right and down of a step.
MOTIONS = {"down": (0, 1), "left": (-1, 0), "right": (1, 0), "up": (0, -1)}
SPLITS = ("train", "val", "test")
_RATE = 12
# More than enough: the bit rate that is preset for large videos leaves blocks.
_BITS_PER_SECOND = 4_000_000
# As parts of the side: the shape's size, and how far it goes from frame to frame.
_SIZES = (0.25, 0.45)
_SPEEDS = (0.03, 0.06)
_LEAST_COLOUR_DISTANCE = 120.0

Picture = NDArray[np.uint8]


class MovingShapes:
    """How many clips of which kind; the same settings give the same files, the classes in turn.

    Args:
        num_train, num_val, num_test: clips of each split.
        num_frames: of a clip.
        image_size: side of the frames in pixels.

    Raises:
        ValueError: a number is too small to make a set of.
    """

    def __init__(self, *, num_train: int, num_val: int, num_test: int, num_frames: int, image_size: int) -> None:
        self.num_clips = dict(zip(SPLITS, (num_train, num_val, num_test), strict=True))
        self.num_frames = num_frames
        self.image_size = image_size
        if min(self.num_clips.values()) < len(MOTIONS) or num_frames < 2 or image_size < 16:
            raise ValueError(
                f"data.shapes asks for {self.num_clips} clips of {num_frames} frames of {image_size} pixels; at least"
                f" {len(MOTIONS)} clips of 2 frames of 16 pixels make a set"
            )

    def folder(self, parent: Path) -> Path:
        """The folder below another in which these settings' set lies."""
        numbers = map(str, self.num_clips.values())
        return parent / "_".join((f"v{VERSION}", f"{self.image_size}px", str(self.num_frames), *numbers))

    def write(self, parent: Path) -> None:
        """Write the set, whole or not at all, unless it is there.

        Raises:
            OSError: the folder cannot be written.
        """
        folder = self.folder(parent)
        if folder.is_dir():
            return
        with new_folder(folder) as unfinished:
            for number, (split, count) in enumerate(self.num_clips.items()):
                for index in range(count):
                    self._write_clip(unfinished / split, index, np.random.default_rng(seed_of(VERSION, number, index)))

    def _write_clip(self, folder: Path, index: int, generator: np.random.Generator) -> None:
        motion = sorted(MOTIONS)[index % len(MOTIONS)]
        (folder / motion).mkdir(parents=True, exist_ok=True)
        frames = draw_clip(generator, motion, num_frames=self.num_frames, side=self.image_size)
        write_clip(folder / motion / f"{index:05d}.mp4", frames)


def draw_clip(generator: np.random.Generator, motion: str, *, num_frames: int, side: int) -> list[Picture]:
    """Frames in red, green and blue."""
    ground = _texture(generator, side=side)
    shape = _texture(generator, side=side)
    while np.linalg.norm(shape.mean(axis=(0, 1)) - ground.mean(axis=(0, 1))) < _LEAST_COLOUR_DISTANCE:
        shape = _texture(generator, side=side)
    mask = _shape_mask(generator, side=side)
    start = generator.integers(side, size=2)
    step = generator.uniform(*_SPEEDS) * side * np.array(MOTIONS[motion])
    frames = []
    for number in range(num_frames):
        right, down = (int(places) for places in np.rint(start + number * step))
        moved_mask = np.roll(mask, (down, right), axis=(0, 1))[:, :, None]
        moved_shape = np.roll(shape, (down, right), axis=(0, 1))
        frames.append(np.where(moved_mask, moved_shape, ground).astype(np.uint8))
    return frames


def write_clip(file: Path, frames: list[Picture]) -> None:
    """A video file in MPEG-4, which every build of FFmpeg can write."""
    height, width, _ = frames[0].shape
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Every frame by itself: what coding by differences leaves behind a moving shape gives its direction away.
        stream.codec_context.gop_size = 1
        stream.bit_rate = _BITS_PER_SECOND
        stream.codec_context.thread_count = 1
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def _shape_mask(generator: np.random.Generator, *, side: int) -> NDArray[np.bool_]:
    """A disc, square or triangle at the upper left corner."""
    size = generator.uniform(*_SIZES) * side
    canvas = Image.new("1", (side, side))
    draw = ImageDraw.Draw(canvas)
    kind = int(generator.integers(3))
    if kind == 0:
        draw.ellipse((0, 0, size, size), fill=1)
    elif kind == 1:
        draw.rectangle((0, 0, size, size), fill=1)
    else:
        draw.polygon([(size / 2, 0), (size, size), (0, size)], fill=1)
    return np.array(canvas, dtype=np.bool_)


def _texture(generator: np.random.Generator, *, side: int) -> NDArray[np.float64]:
    """A colour with soft patches."""
    colour = generator.uniform(40, 215, size=3)
    coarse = Image.fromarray(generator.integers(0, 256, size=(6, 6), dtype=np.uint8))
    patches = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64) / 255 - 0.5
    return np.clip(colour + 60 * patches[:, :, None], 0, 255)
