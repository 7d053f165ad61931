"""Which frames of a clip are shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.clip_sampling import ConsecutiveSampling, SegmentSampling, sampling_of


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(1, 40), st.integers(1, 200), st.integers(0, 100))
def test_segments_give_one_frame_each_in_order(num_frames: int, num_available: int, seed: int) -> None:
    sampling = SegmentSampling(num_frames)
    for indices in (sampling.random(num_available, generator(seed)), sampling.middle(num_available)):
        assert len(indices) == num_frames
        for segment, index in enumerate(indices):
            begin, end = segment * num_available / num_frames, (segment + 1) * num_available / num_frames
            assert int(begin) <= index <= min(end, num_available - 1)


def test_middles_of_segments_are_those_written_down() -> None:
    np.testing.assert_array_equal(SegmentSampling(4).middle(16), [2, 6, 10, 14])


def test_random_frames_of_a_segment_reach_all_of_it() -> None:
    sampling = SegmentSampling(2)
    seen = {tuple(sampling.random(6, generator(seed))) for seed in range(200)}
    assert seen == {(first, second) for first in (0, 1, 2) for second in (3, 4, 5)}


def test_fewer_frames_than_segments_are_shown_several_times() -> None:
    np.testing.assert_array_equal(SegmentSampling(6).middle(3), [0, 0, 1, 1, 2, 2])


@given(st.integers(1, 20), st.integers(1, 4), st.integers(0, 50), st.integers(0, 100))
def test_consecutive_frames_lie_inside_the_clip(num_frames: int, frame_step: int, spare: int, seed: int) -> None:
    sampling = ConsecutiveSampling(num_frames, frame_step)
    num_available = sampling.least_frames + spare
    for indices in (sampling.random(num_available, generator(seed)), sampling.middle(num_available)):
        assert indices[0] >= 0
        assert indices[-1] < num_available
        assert len(indices) == num_frames
        assert set(np.diff(indices)) <= {frame_step}


def test_consecutive_frames_begin_anywhere_the_last_place_included() -> None:
    sampling = ConsecutiveSampling(3, 2)
    assert {int(sampling.random(7, generator(seed))[0]) for seed in range(100)} == {0, 1, 2}


def test_the_middle_leaves_out_as_much_before_as_after() -> None:
    np.testing.assert_array_equal(ConsecutiveSampling(4, 1).middle(10), [3, 4, 5, 6])


def test_a_step_between_segments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.frame_step=2 has no effect on segments"):
        sampling_of("segments", num_frames=8, frame_step=2)


def test_no_frames_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.num_frames=0"):
        sampling_of("consecutive", num_frames=0, frame_step=1)
