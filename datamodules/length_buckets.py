"""Batches of samples of like length: less padding, in an order that is still random."""

import numpy as np
from numpy.typing import NDArray


class LengthBuckets:
    """Sorts an epoch's random order by length within pools, and shuffles the batches made from it.

    Args:
        lengths: of every sample.
        samples_per_round: that make a batch on every process together.
        rounds_per_pool: how many rounds are sorted together: the more, the less padding, and the more alike the
            batches of one epoch and another.

    Raises:
        ValueError: a pool of no rounds.
    """

    def __init__(self, lengths: NDArray[np.int64], *, samples_per_round: int, rounds_per_pool: int) -> None:
        if rounds_per_pool < 1:
            raise ValueError(f"data.rounds_per_pool={rounds_per_pool}: choose 1 or more, or null for no buckets")
        self.lengths = lengths
        self.samples_per_round = samples_per_round
        self.rounds_per_pool = rounds_per_pool

    def __call__(self, order: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        num_rounds = len(order) // self.samples_per_round
        full = order[: num_rounds * self.samples_per_round]
        pool = self.rounds_per_pool * self.samples_per_round
        pools = [full[start : start + pool] for start in range(0, len(full), pool)]
        by_length = [samples[np.argsort(self.lengths[samples], kind="stable")] for samples in pools]
        rounds = np.concatenate(by_length).reshape(num_rounds, self.samples_per_round)
        # What does not fill a round stays at the end, where it is left out.
        return np.concatenate([generator.permutation(rounds).ravel(), order[len(full) :]])
