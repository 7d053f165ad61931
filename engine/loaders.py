"""Loaders: batches of a data set. Every loop over one begins at the beginning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from typing import Any, Protocol

import torch

from engine.variable import Array, as_array


class Samples(Sized, Protocol):
    """What a loader reads: anything with a length and samples (data, label) by number."""

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


class DataLoader:
    """Batches in order, or shuffled anew for every loop.

    Args:
        dataset: the samples.
        batch_size: samples of a batch; the last one holds what is left.
        shuffle: a new order for every loop.
        seed: of the orders; without one they come from torch's own generator.
        device: where the batches are put.
    """

    def __init__(
        self,
        dataset: Samples,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} is less than 1")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.device = device
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        count = len(self.dataset)
        order = torch.randperm(count, generator=self.generator).tolist() if self.shuffle else list(range(count))
        for start in range(0, count, self.batch_size):
            yield self._batch(order[start : start + self.batch_size])

    def _batch(self, numbers: Sequence[int]) -> tuple[Array, Array]:
        samples = [self.dataset[i] for i in numbers]
        x, t = (torch.stack([as_array(part) for part in column]) for column in zip(*samples, strict=True))
        return x.to(self.device), t.to(self.device)


class SeqDataLoader(DataLoader):
    """One step in time for each batch: the series is cut into `batch_size` parts, read side by side."""

    def __init__(self, dataset: Samples, batch_size: int, *, device: torch.device | str | None = None) -> None:
        super().__init__(dataset, batch_size, shuffle=False, device=device)

    def __len__(self) -> int:
        return len(self.dataset) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        jump = len(self)
        for step in range(jump):
            yield self._batch([part * jump + step for part in range(self.batch_size)])
