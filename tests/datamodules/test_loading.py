"""The order of samples: complete, shared out without repeats, and the same after an interruption."""

import itertools

import pytest

from datamodules.loading import Draw, EvaluationOrder, Position, Share, TrainingOrder

ALONE = Share(0, 1)


def _training_order(position: Position, *, share: Share = ALONE, num_samples: int = 50, seed: int = 3) -> TrainingOrder:
    return TrainingOrder(num_samples, batch_size=8, seed=seed, share=share, position=lambda: position)


def _epoch(epoch: int, *, share: Share = ALONE) -> list[list[Draw]]:
    return list(_training_order(Position(epoch, 0), share=share))


def test_an_epoch_shows_no_sample_twice() -> None:
    samples = [draw.sample for draw in itertools.chain(*_epoch(0))]
    assert len(samples) == len(set(samples)) == 48


def test_every_epoch_has_its_own_order_and_says_so_to_the_augmentation() -> None:
    assert [d.sample for d in _epoch(0)[0]] != [d.sample for d in _epoch(1)[0]]
    assert {draw.epoch for draw in itertools.chain(*_epoch(7))} == {7}


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert _epoch(2) == _epoch(2)
    assert list(_training_order(Position(2, 0), seed=4)) != _epoch(2)


@pytest.mark.parametrize("batch", range(6))
def test_an_interrupted_epoch_goes_on_with_the_next_batch(batch: int) -> None:
    assert list(_training_order(Position(1, batch))) == _epoch(1)[batch:]


def test_an_epoch_interrupted_at_its_end_goes_on_with_the_next_epoch() -> None:
    assert list(_training_order(Position(1, 6))) == _epoch(2)


def test_processes_share_an_epoch_in_equal_parts() -> None:
    shares = [_epoch(0, share=Share(rank, 2)) for rank in range(2)]
    assert [len(batch) for batch in shares[0]] == [len(batch) for batch in shares[1]] == [8, 8, 8]
    samples = [draw.sample for draw in itertools.chain(*shares[0], *shares[1])]
    assert len(samples) == len(set(samples)) == 48


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match=r"asks for 16 samples at once, but the training split has 10; lower"):
        _training_order(Position(0, 0), share=Share(0, 2), num_samples=10)


@pytest.mark.parametrize("num_samples", [2, 17, 32, 33, 360])
@pytest.mark.parametrize("world_size", [1, 2])
def test_evaluation_shows_every_sample_exactly_once(num_samples: int, world_size: int) -> None:
    shares = [
        list(EvaluationOrder(num_samples, batch_size=16, share=Share(rank, world_size))) for rank in range(world_size)
    ]
    samples = sorted(draw.sample for batch in itertools.chain(*shares) for draw in batch)
    assert samples == list(range(num_samples))
    # A process that evaluates more often than another would wait for it for ever.
    assert len({len(share) for share in shares}) == 1
    assert all(0 < len(batch) <= 16 for batch in itertools.chain(*shares))


@pytest.mark.parametrize(("num_samples", "batch_size"), [(0, 4), (1, 4), (3, 1)])
def test_an_evaluation_that_would_leave_a_process_idle_is_refused(num_samples: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match="use fewer processes"):
        EvaluationOrder(num_samples, batch_size=batch_size, share=Share(0, 2))
