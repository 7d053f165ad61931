"""Which sample comes when: the order of an epoch, shared out over processes, continued where a run stopped."""

import math
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from pytorch_lightning.loops.progress import _ProcessedTracker
from torch.utils.data import DataLoader, Sampler

from datamodules.randomness import seed_of
from datamodules.unreadable import OnError, ReadBatch, SkippingLoader, UnreadableSample

SampleT = TypeVar("SampleT")
BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)
# Brings an epoch's random order into another that also depends on the generator only.
Arrange = Callable[[NDArray[np.int64], np.random.Generator], NDArray[np.int64]]


class Draw(NamedTuple):
    """One visit to a sample: which one, and in which epoch, on which its augmentation depends."""

    sample: int
    epoch: int


class Position(NamedTuple):
    """How far training has come: epochs finished, and batches processed of the epoch after them."""

    epoch: int
    batch: int


class Share(NamedTuple):
    """This process's place among those that train together."""

    rank: int
    world_size: int


class TrainingOrder(Sampler[list[Draw]]):
    """Batches of an epoch's random order, a function of (seed, epoch): the same again after an interruption.

    Every process gets batches of the same size and number, so that none waits for another; the up to
    `batch_size * world_size - 1` samples that do not fill a round are left to other epochs' orders.

    Args:
        position: asked at the start of every epoch where to begin.
        arrange: changes the order, such as to bring samples of like length together; None leaves it random.

    Raises:
        ValueError: a single round needs more samples than there are.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        share: Share,
        position: Callable[[], Position],
        arrange: Arrange | None = None,
    ) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.share = share
        self.position = position
        self.arrange = arrange
        if len(self) == 0:
            raise ValueError(
                f"batch_size={batch_size} on {share.world_size} process(es) asks for"
                f" {batch_size * share.world_size} samples at once, but the training split has {num_samples};"
                " lower data.batch_size"
            )

    def __len__(self) -> int:
        return self.num_samples // (self.batch_size * self.share.world_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, first_batch = self.position()
        if first_batch >= len(self):
            epoch, first_batch = epoch + 1, 0
        order = self._order(epoch)
        for batch in range(first_batch, len(self)):
            yield [Draw(sample, epoch) for sample in self._own(order, batch)]

    def samples(self, epoch: int, batch: int) -> list[int]:
        """Which samples this process is given in a batch."""
        return self._own(self._order(epoch), batch)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng(seed_of(self.seed, epoch))
        order = generator.permutation(self.num_samples)
        return order if self.arrange is None else self.arrange(order, generator)

    def _own(self, order: NDArray[np.int64], batch: int) -> list[int]:
        start = (batch * self.share.world_size + self.share.rank) * self.batch_size
        own: list[int] = order[start : start + self.batch_size].tolist()
        return own


class EvaluationOrder(Sampler[list[Draw]]):
    """Every sample exactly once, in order, shared out over processes without repeating any.

    The number of batches is the same for every process (their sizes differ by at most one sample), because processes
    that evaluate in the middle of training exchange buffers at every batch.

    Raises:
        ValueError: no samples, or too few to give each process a sample in every batch.
    """

    def __init__(self, num_samples: int, *, batch_size: int, share: Share) -> None:
        largest_share = math.ceil(num_samples / share.world_size)
        self.num_batches = math.ceil(largest_share / batch_size)
        own = np.arange(share.rank, num_samples, share.world_size)
        smallest_share = num_samples // share.world_size
        if smallest_share < self.num_batches or num_samples == 0:
            raise ValueError(
                f"{num_samples} samples in batches of {batch_size} leave one of {share.world_size} process(es) without"
                " any in its last batch; use fewer processes or a larger data.batch_size"
            )
        self.batches = [part.tolist() for part in np.array_split(own, self.num_batches)]

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[Draw]]:
        for batch in self.batches:
            yield [Draw(index, 0) for index in batch]


@runtime_checkable
class BatchDataset(Protocol[BatchT_co]):
    """A data set that makes a whole batch at once."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: list[Draw]) -> BatchT_co | ReadBatch: ...


class SamplesOneByOne(Generic[SampleT, BatchT]):
    """A data set whose samples are files: read each, then put together what could be read.

    Args:
        read: a sample as drawn; raises `UnreadableSample`, naming the file, if it is damaged.
        collate: a batch of at least one sample.
    """

    def __init__(
        self, num_samples: int, read: Callable[[Draw], SampleT], collate: Callable[[list[SampleT]], BatchT]
    ) -> None:
        self.num_samples = num_samples
        self.read = read
        self.collate = collate

    def __len__(self) -> int:
        return self.num_samples

    def __getitems__(self, draws: list[Draw]) -> ReadBatch:
        samples, unreadable = [], []
        for draw in draws:
            try:
                samples.append(self.read(draw))
            except UnreadableSample as error:
                unreadable.append(error.unreadable)
        return ReadBatch(self.collate(samples) if samples else None, unreadable)


class ResumableLoader(SkippingLoader[BatchT]):
    """A loader that Lightning may interrupt within an epoch, over a `TrainingOrder`, which finds its own place again.

    A place in an order means nothing in another order, so what is saved is what the order depends on.
    """

    def state_dict(self) -> dict[str, int]:
        order = self.batch_sampler
        assert isinstance(order, TrainingOrder)
        return {
            "num_samples": order.num_samples,
            "batch_size": order.batch_size,
            "seed": order.seed,
            "world_size": order.share.world_size,
        }

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Refuse to continue in another order.

        Raises:
            ValueError: the number of samples, batch size, seed or number of processes is not what it was.
        """
        now = self.state_dict()
        if changed := [f"{key} was {was} and is {now[key]}" for key, was in state_dict.items() if was != now[key]]:
            raise ValueError(f"an epoch cannot be continued in another order of samples: {'; '.join(changed)}")


def _as_it_is(batch: BatchT) -> BatchT:
    return batch


def training_loader(
    dataset: BatchDataset[BatchT], order: TrainingOrder, *, num_workers: int, on_error: OnError = "raise"
) -> ResumableLoader[BatchT]:
    """Batches of a training split, made in this process or by workers, the same either way."""
    return ResumableLoader(
        dataset,
        on_error=on_error,
        batch_sampler=order,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=_as_it_is,
    )


def evaluation_loader(
    dataset: BatchDataset[BatchT],
    trainer: Trainer | None,
    *,
    batch_size: int,
    num_workers: int,
    on_error: OnError = "raise",
) -> DataLoader[BatchT]:
    """Every sample of a split once, over all of a Trainer's processes together.

    Raises:
        ValueError: no samples, or too few to give each process a sample in every batch.
    """
    return SkippingLoader(
        dataset,
        on_error=on_error,
        batch_sampler=EvaluationOrder(len(dataset), batch_size=batch_size, share=share_of(trainer)),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=_as_it_is,
    )


def position_of(trainer: Trainer | None) -> Position:
    """Where a Trainer's fit stands; the end of an epoch is the start of the next.

    Lightning counts an epoch as started before its first batch and as processed after its last; a checkpoint may be
    taken on either side of the latter.
    """
    if trainer is None:
        return Position(0, 0)
    epochs = cast("_ProcessedTracker", trainer.fit_loop.epoch_progress.current)
    batches = cast("_ProcessedTracker", trainer.fit_loop.epoch_loop.batch_progress.current)
    # Fitting to a few batches means the same few at every epoch.
    if trainer.overfit_batches > 0:  # type: ignore[attr-defined]  # set by one of Lightning's connectors
        return Position(0, 0)
    if epochs.processed == epochs.started:
        return Position(epochs.processed, 0)
    return Position(epochs.processed, batches.processed)


def share_of(trainer: Trainer | None) -> Share:
    """Which part of every batch is this process's."""
    return Share(0, 1) if trainer is None else Share(trainer.global_rank, trainer.world_size)


def training_order(
    trainer: Trainer | None, num_samples: int, *, batch_size: int, seed: int, arrange: Arrange | None = None
) -> TrainingOrder:
    """The order in which a Trainer sees a split: this process's part of it, from where its fit stands."""
    return TrainingOrder(
        num_samples,
        batch_size=batch_size,
        seed=seed,
        share=share_of(trainer),
        position=lambda: position_of(trainer),
        arrange=arrange,
    )


def evenly_spread(count: int, *, of: int) -> list[int]:
    """Up to `count` of the indices from 0 to `of` - 1, evenly spread over them."""
    return [round(index) for index in np.linspace(0, of - 1, min(count, of))]
