"""Frames of clips: video files, or folders of images in order; whole, or named as unreadable. PyAV decodes."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8
from numpy.typing import NDArray

from datamodules.clip_listing import images_in
from datamodules.image_files import read_image
from datamodules.unreadable import UnreadableSample

Frames = UInt8[np.ndarray, "T H W 3"]
# Of frame folders, which do not say it.
_FOLDER_RATE = 25.0


class FrameSize(NamedTuple):
    """What frames are brought to, in pixels, whatever their proportions."""

    height: int
    width: int


class ClipReader:
    """Reads clips at one size, and remembers on disk what it decoded if it has a folder for that.

    Args:
        cache_dir: receives a file for each clip and size; None decodes anew every time.
    """

    def __init__(self, size: FrameSize, *, cache_dir: Path | None) -> None:
        self.size = size
        self.cache_dir = cache_dir

    def __call__(self, path: Path) -> Frames:
        """All frames of a clip.

        Raises:
            UnreadableSample: it is missing, no video, damaged, or cut off.
        """
        if self.cache_dir is None:
            return decode(path, self.size)
        file = self.cache_dir / self._name(path)
        if not file.exists():
            self._write(file, decode(path, self.size))
        frames: Frames = np.load(file, mmap_mode="r")
        return frames

    def _name(self, path: Path) -> str:
        try:
            state = path.stat()
        except OSError as error:
            raise UnreadableSample(path, "there is no such file") from error
        # A file that is written anew is another clip.
        identity = f"{path.absolute()}|{state.st_size}|{state.st_mtime_ns}|{self.size.height}x{self.size.width}"
        return f"{path.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npy"

    def _write(self, file: Path, frames: Frames) -> None:
        """Whole or not at all; processes that write the same clip at once write the same."""
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                np.save(stream, frames)
            Path(unfinished).replace(file)
        finally:
            Path(unfinished).unlink(missing_ok=True)


def decode(path: Path, size: FrameSize) -> Frames:
    """All frames of a video file or a folder of images, as they are decoded, without a cache.

    Raises:
        UnreadableSample: see `ClipReader`.
    """
    scaler = VideoReformatter()
    source = _folder_frames(path) if path.is_dir() else _video_frames(path)
    frames = [_upright(frame, size, scaler) for frame in source]
    if not frames:
        raise UnreadableSample(path, "it has no frames")
    return np.stack(frames)


def _upright(frame: av.VideoFrame, size: FrameSize, scaler: VideoReformatter) -> UInt8[np.ndarray, "H W 3"]:
    """The frame at that size, turned as the camera was held."""
    # Counterclockwise, as numpy counts too.
    quarter_turns = round(frame.rotation / 90) % 4
    height, width = size if quarter_turns % 2 == 0 else (size.width, size.height)
    # Averaging over areas: a clip is mostly made smaller, and every other pixel left out would flicker.
    scaled = scaler.reformat(frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
    return np.rot90(scaled.to_ndarray(), quarter_turns)


def frame_rate(path: Path) -> float:
    """Frames in a second; of a folder of images 25.

    Raises:
        UnreadableSample: it is no video.
    """
    if path.is_dir():
        return _FOLDER_RATE
    try:
        with av.open(str(path)) as container:
            rate: Fraction | None = container.streams.video[0].average_rate
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UnreadableSample(path, f"it cannot be read as a video ({_first_line(error)})") from error
    return float(rate) if rate else _FOLDER_RATE


def _video_frames(path: Path) -> Iterator[av.VideoFrame]:
    num_frames = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            # Without this, what is missing is made up from the frames before.
            stream.codec_context.options = {"err_detect": "explode"}
            # Workers are the parallelism here, and one thread decodes in the same way every time.
            stream.codec_context.thread_count = 1
            promised = stream.frames
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise UnreadableSample(path, f"frame {num_frames} is damaged")
                num_frames += 1
                yield frame
    except IndexError as error:
        raise UnreadableSample(path, "it has no video stream") from error
    except (av.FFmpegError, OSError) as error:
        place = f"after {num_frames} frames" if num_frames else "from its beginning"
        raise UnreadableSample(path, f"it cannot be read as a video {place} ({_first_line(error)})") from error
    # Some containers, such as Matroska, do not say how many frames there are.
    if promised and num_frames < promised:
        raise UnreadableSample(path, f"it breaks off: {num_frames} of {promised} frames can be decoded")


def _folder_frames(folder: Path) -> Iterator[av.VideoFrame]:
    first: tuple[int, ...] | None = None
    for path in images_in(folder):
        pixels: NDArray[np.uint8] = read_image(path, in_channels=3).permute(1, 2, 0).contiguous().numpy()
        if first is not None and pixels.shape != first:
            raise UnreadableSample(folder, f"{path.name} has another size than the images before it")
        first = pixels.shape
        yield av.VideoFrame.from_ndarray(pixels, format="rgb24")


def _first_line(error: Exception) -> str:
    return str(error).split(":")[0]
