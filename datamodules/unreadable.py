"""Files that cannot be read and annotations that make no sense: named, or skipped and counted, never passed over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from torch.utils.data import DataLoader

BatchT = TypeVar("BatchT")

OnError = Literal["raise", "skip"]

# A few bad files are a nuisance; more say that something else is wrong.
_LARGEST_SKIPPED_FRACTION = 0.01
_ALWAYS_TOLERATED = 5


class UnreadableSample(ValueError):  # noqa: N818 - it is what was found, as data sets meet it
    """A file, or a record of it, that cannot be used.

    Args:
        file: the image, annotation or clip.
        reason: what is wrong with it.
        record: which part of the file is meant, where it holds several samples.
    """

    def __init__(self, file: Path | str, reason: str, *, record: str | None = None) -> None:
        place = f"{file}, {record}" if record is not None else str(file)
        super().__init__(f"{place}: {reason}; repair or remove it, or go on without such samples: data.on_error=skip")
        self.unreadable = Unreadable(str(file), record, reason)


class Unreadable(NamedTuple):
    """What an `UnreadableSample` says, as plain data."""

    file: str
    record: str | None
    reason: str


class ReadBatch(NamedTuple):
    """What could be read of a batch (None: nothing), and what could not.

    A failure travels as data, because an exception that leaves a worker process loses its type on the way.
    """

    batch: Any
    unreadable: list[Unreadable]


@contextmanager
def users_file(path: Path) -> Iterator[None]:
    """What a user gave by name is not passed over: that it cannot be read ends the command.

    Raises:
        ValueError: it is unreadable.
    """
    try:
        yield
    except UnreadableSample as error:
        raise ValueError(f"{path}: {error.unreadable.reason}; replace it or leave it out") from error


class SkippingLoader(DataLoader[BatchT]):
    """A loader that raises or counts what its data set could not read.

    Args:
        on_error: `raise` ends at the first such sample; `skip` leaves it out of its batch.

    Attributes:
        skipped: every sample left out so far, once.
        waited_s: seconds that its batches have been waited for.

    Raises:
        UnreadableSample: while iterating, by `raise`; by `skip` if a whole batch or more than 1 % of the data set (but
            more than five samples) cannot be read.
    """

    def __init__(self, dataset: Any, *, on_error: OnError = "raise", **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.on_error = on_error
        self.skipped: list[Unreadable] = []
        self.waited_s = 0.0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch says its own iterator class
        asked_s = time.perf_counter()
        for item in super().__iter__():
            batch = self._readable(item) if isinstance(item, ReadBatch) else item
            self.waited_s += time.perf_counter() - asked_s
            yield batch
            asked_s = time.perf_counter()

    def _readable(self, item: ReadBatch) -> Any:
        for unreadable in item.unreadable:
            file, record, reason = unreadable
            if self.on_error == "raise":
                raise UnreadableSample(file, reason, record=record)
            if unreadable not in self.skipped:
                self.skipped.append(unreadable)
            num_samples = len(self.dataset)  # type: ignore[arg-type]  # every data set here has a length
            if len(self.skipped) > max(_ALWAYS_TOLERATED, _LARGEST_SKIPPED_FRACTION * num_samples):
                raise UnreadableSample(
                    file, f"{reason}; it is the {len(self.skipped)}th of {num_samples} to be skipped", record=record
                )
        if item.batch is None:
            file, record, reason = item.unreadable[0]
            raise UnreadableSample(file, f"{reason}; nor can the rest of its batch be read", record=record)
        return item.batch
