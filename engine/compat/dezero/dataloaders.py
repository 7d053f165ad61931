"""DeZero's loaders, which also count as their own iterators."""

# ruff: noqa: FBT001, FBT002 - DeZero's signatures

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from engine import loaders


class DataLoader(loaders.DataLoader):
    """Batches of numpy arrays; of tensors on the GPU."""

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool = True, gpu: bool = False) -> None:
        device = "cuda" if gpu else None
        loaders.DataLoader.__init__(self, dataset, batch_size, shuffle=shuffle, device=device)
        self.max_iter = len(self)
        self.batches: Iterator[tuple[torch.Tensor, torch.Tensor]] | None = None

    def __iter__(self) -> Any:
        self.batches = super().__iter__()
        return self

    def __next__(self) -> tuple[Any, Any]:
        if self.batches is None:
            self.batches = super().__iter__()
        try:
            x, t = next(self.batches)
        except StopIteration:
            self.batches = None
            raise
        return (x, t) if x.is_cuda else (x.numpy(), t.numpy())

    next = __next__

    def to_cpu(self) -> None:
        self.device = None

    def to_gpu(self) -> None:
        self.device = "cuda"


class SeqDataLoader(DataLoader, loaders.SeqDataLoader):
    """One step in time for each batch."""

    def __init__(self, dataset: Any, batch_size: int, gpu: bool = False) -> None:
        super().__init__(dataset, batch_size, shuffle=False, gpu=gpu)
