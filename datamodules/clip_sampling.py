"""Which frames of a clip are shown: one from each of equal segments (ECO, TSN), or consecutive ones (C3D)."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

Indices = Int64[np.ndarray, " T"]
SamplingName = Literal["segments", "consecutive"]


class SegmentSampling(NamedTuple):
    """One frame from each of `num_frames` equal parts, in order (https://arxiv.org/abs/1804.09066, section 3).

    A clip with fewer frames than parts shows some of them several times.
    """

    num_frames: int

    @property
    def least_frames(self) -> int:
        return 1

    def random(self, num_available: int, generator: np.random.Generator) -> Indices:
        """A random frame of each part."""
        return self._within(num_available, generator.uniform(size=self.num_frames))

    def middle(self, num_available: int) -> Indices:
        """The middle frame of each part."""
        return self._within(num_available, np.full(self.num_frames, 0.5))

    def _within(self, num_available: int, position: np.ndarray) -> Indices:
        places = (np.arange(self.num_frames) + position) * num_available / self.num_frames
        # A position just below 1 may be rounded up to the end.
        indices: Indices = np.minimum(places.astype(np.int64), num_available - 1)
        return indices


class ConsecutiveSampling(NamedTuple):
    """`num_frames` frames at a distance of `frame_step` (https://arxiv.org/abs/1412.0767, section 3: 16 at 1)."""

    num_frames: int
    frame_step: int

    @property
    def least_frames(self) -> int:
        return (self.num_frames - 1) * self.frame_step + 1

    def random(self, num_available: int, generator: np.random.Generator) -> Indices:
        """From a random beginning."""
        return self._from(int(generator.integers(num_available - self.least_frames + 1)))

    def middle(self, num_available: int) -> Indices:
        """With as many frames left out before as after."""
        return self._from((num_available - self.least_frames) // 2)

    def _from(self, first: int) -> Indices:
        return first + np.arange(self.num_frames, dtype=np.int64) * self.frame_step


Sampling = SegmentSampling | ConsecutiveSampling


def sampling_of(name: SamplingName, *, num_frames: int, frame_step: int) -> Sampling:
    """The way of sampling that a configuration names.

    Raises:
        ValueError: a number is below 1, or the step has no effect.
    """
    if num_frames < 1 or frame_step < 1:
        raise ValueError(f"data.num_frames={num_frames}, data.frame_step={frame_step}: both are 1 or more")
    if name == "consecutive":
        return ConsecutiveSampling(num_frames, frame_step)
    if frame_step != 1:
        raise ValueError(
            f"data.frame_step={frame_step} has no effect on segments; set it to 1, or data.sampling=consecutive"
        )
    return SegmentSampling(num_frames)
