"""Random numbers that depend on (seed, epoch, sample) and on nothing else.

A generator with a state would tie a sample's augmentation to the samples drawn before it, hence to the number of
workers and to where a run was interrupted. These are a hash of the sample's coordinates instead (splitmix64: Steele,
Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195, figure 17).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_64_BITS = 2**64 - 1


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def hash_integers(*values: int | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A 64-bit hash of non-negative integers, arrays broadcast against each other; the order of the values counts."""
    state = np.zeros(1, dtype=np.uint64)
    for value in values:
        state = _mix(state + np.uint64(_GOLDEN_GAMMA) + np.asarray(value, dtype=np.uint64))
    return state


def seed_of(*values: int) -> int:
    """A seed for a generator, below 2^63 as torch's take them: `hash_integers` of non-negative integers.

    With Python's own integers a single hash takes 1.4 µs, with arrays of one element 24.
    """
    state = 0
    for value in values:
        state = (state + _GOLDEN_GAMMA + value) & _64_BITS
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _64_BITS
        state ^= state >> 31
    return state >> 1


def uniform_per_sample(*, seed: int, epochs: list[int], indices: list[int], draws: int) -> Float[Tensor, "B draws"]:
    """Uniform numbers in [0, 1), a row for each sample and pass over the data."""
    rows = hash_integers(seed, np.array(epochs, dtype=np.uint64)[:, None], np.array(indices, dtype=np.uint64)[:, None])
    bits = _mix(rows + np.uint64(_GOLDEN_GAMMA) * np.arange(1, draws + 1, dtype=np.uint64))
    # The 24 highest bits are what a float32 below 1 can hold.
    return torch.from_numpy(((bits >> np.uint64(40)).astype(np.float32)) / np.float32(2**24))


@contextmanager
def torchs_randomness(seed: int) -> Iterator[None]:
    """Code that draws from torch's own generator, such as torchvision's transforms, draws from this seed instead.

    What is drawn after it is what would have been drawn without it.
    """
    state = torch.default_generator.get_state()
    # torch.manual_seed asks after every kind of device, at 0.1 ms a call.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
