"""A user's videos, window by window, as they would be seen one after the other while a video runs."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from datamodules.batches import ClipBatch
from datamodules.clip_files import FrameSize, decode, frame_rate
from datamodules.clip_sampling import Sampling
from datamodules.image_views import View
from datamodules.loading import Draw
from datamodules.unreadable import users_file


class UsersClips:
    """Video files from anywhere, one to a batch: of each window the frames that evaluation would show of such a clip.

    Args:
        window_s, hop_s: the length of a window and from one's beginning to the next's, in seconds; None: one window.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: FrameSize,
        sampling: Sampling,
        view: View,
        *,
        window_s: float | None,
        hop_s: float | None,
    ) -> None:
        self.paths = list(paths)
        self.size = size
        self.sampling = sampling
        self.view = view
        self.window_s = window_s
        self.hop_s = hop_s

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> ClipBatch:
        (draw,) = draws
        path = self.paths[draw.sample]
        with users_file(path):
            frames, rate = decode(path, self.size), frame_rate(path)
        if len(frames) < self.sampling.least_frames:
            raise ValueError(
                f"{path} has {len(frames)} frames, the network looks at {self.sampling.least_frames}; leave it out"
            )
        spans = window_spans(
            len(frames),
            length=len(frames) if self.window_s is None else round(self.window_s * rate),
            hop=len(frames) if self.hop_s is None else round(self.hop_s * rate),
            least=self.sampling.least_frames,
        )
        windows = [shown(frames[first:end][self.sampling.middle(end - first)], self.view) for first, end in spans]
        return ClipBatch(torch.stack(windows), torch.tensor(spans, dtype=torch.float32) / rate)


def window_spans(num_frames: int, *, length: int, hop: int, least: int) -> list[tuple[int, int]]:
    """First frame and end of windows, the last of which ends where the video does.

    Args:
        length, hop: in frames; a window has at least `least` of them, and the whole video if it is shorter.
    """
    length = min(max(length, least), num_frames)
    steps = math.ceil((num_frames - length) / max(1, hop))
    beginnings = [min(step * max(1, hop), num_frames - length) for step in range(steps + 1)]
    return [(beginning, beginning + length) for beginning in beginnings]


def shown(frames: np.ndarray, view: View) -> Float[Tensor, "C T H W"]:
    """What a view makes of some frames, the same of each."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return view(pixels).permute(1, 0, 2, 3)
