"""What a data set cannot read is named, or skipped and counted."""

from pathlib import Path

import pytest

from datamodules.loading import (
    Draw,
    Position,
    SamplesOneByOne,
    Share,
    TrainingOrder,
    evaluation_loader,
    training_loader,
)
from datamodules.unreadable import UnreadableSample

ALONE = Share(0, 1)


def samples(*bad: int, num_samples: int = 8) -> SamplesOneByOne[int, list[int]]:
    def read(draw: Draw) -> int:
        if draw.sample in bad:
            raise UnreadableSample(Path(f"photos/{draw.sample}.jpg"), "the file is cut off", record="box 3")
        return draw.sample

    return SamplesOneByOne(num_samples, read, list)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_sample_that_cannot_be_read_is_named_with_its_file_and_record(num_workers):
    loader = evaluation_loader(samples(2), None, batch_size=4, num_workers=num_workers)
    with pytest.raises(UnreadableSample, match=r"photos/2\.jpg, box 3: the file is cut off; repair or remove it"):
        list(loader)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_skipped_sample_is_missing_from_its_batch_and_counted_once(num_workers):
    order = TrainingOrder(8, batch_size=4, seed=1, share=ALONE, position=lambda: Position(0, 0))
    loader = training_loader(samples(2), order, num_workers=num_workers, on_error="skip")
    for _ in range(2):
        batches = list(loader)
        assert sorted(len(batch) for batch in batches) == [3, 4]
        assert sorted(sample for batch in batches for sample in batch) == [0, 1, 3, 4, 5, 6, 7]
    assert loader.skipped == [("photos/2.jpg", "box 3", "the file is cut off")]


def test_more_than_a_hundredth_of_the_samples_is_too_many_to_skip():
    loader = evaluation_loader(samples(0, 1, 2, 3, 4, 5), None, batch_size=8, num_workers=0, on_error="skip")
    with pytest.raises(UnreadableSample, match="it is the 6th of 8 to be skipped"):
        list(loader)


def test_a_batch_of_which_nothing_can_be_read_is_an_error():
    loader = evaluation_loader(samples(0, 1), None, batch_size=2, num_workers=0, on_error="skip")
    with pytest.raises(UnreadableSample, match="nor can the rest of its batch be read"):
        list(loader)
