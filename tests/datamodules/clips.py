"""Small video files for tests."""

from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH = 24, 32


def grey_levels(count: int) -> list[np.ndarray]:
    """Frames of one grey value each, 10, 20, 30 and so on, by which they can be told apart."""
    return [np.full((HEIGHT, WIDTH, 3), 10 * (number + 1), dtype=np.uint8) for number in range(count)]


def write_video(file: Path, frames: list[np.ndarray], *, codec: str = "mpeg4", rate: int = 10) -> Path:
    """A file in the container that its suffix names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file
