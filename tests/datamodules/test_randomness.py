"""Random numbers that depend on the sample's coordinates alone."""

import numpy as np
import torch
from scipy import stats

from datamodules.randomness import hash_integers, seed_of, uniform_per_sample


def _splitmix64(state: int) -> int:
    """The finaliser of the reference implementation, with Python's integers."""
    mask = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_the_hash_is_splitmix64_over_the_values() -> None:
    expected = 0
    for value in (5, 0, 123_456_789):
        expected = _splitmix64((expected + 0x9E3779B97F4A7C15 + value) % 2**64)
    assert int(hash_integers(5, 0, 123_456_789)[0]) == expected


def test_a_seed_is_the_hash_without_its_last_bit() -> None:
    for values in ((0,), (5, 0, 123_456_789), (2**63, 2**40)):
        assert seed_of(*values) == int(hash_integers(*values)[0]) >> 1


def test_a_samples_numbers_do_not_depend_on_its_batch() -> None:
    together = uniform_per_sample(seed=1, epochs=[2, 2, 3], indices=[7, 8, 7], draws=4)
    alone = uniform_per_sample(seed=1, epochs=[2], indices=[8], draws=4)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[2])


def test_the_numbers_are_uniform_and_uncorrelated() -> None:
    numbers = uniform_per_sample(seed=0, epochs=[0] * 20_000, indices=list(range(20_000)), draws=4).double().numpy()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    neighbours = np.concatenate([numbers[:-1].T, numbers[1:].T])
    assert np.abs(np.corrcoef(neighbours) - np.eye(8)).max() < 0.03


def test_seeds_of_neighbouring_coordinates_differ() -> None:
    seeds = {seed_of(seed, epoch, batch) for seed in range(10) for epoch in range(10) for batch in range(10)}
    assert len(seeds) == 1_000
    assert all(0 <= seed < 2**63 for seed in seeds)
