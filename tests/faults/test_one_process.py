"""The fault matrix, in runs of one process: docs/reliability.md has it as a table."""

import os
import random
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.failures import EXIT_FAILED, EXIT_REFUSED
from experiment.run_directory import RunDirectory, find_run
from tests.conftest import MakeRequest
from tests.faults import faults
from tests.faults.children import train_in_child
from tests.faults.same_run import assert_same_run

NUM_BATCHES = 8
SHORT = (
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=8",
    "callbacks.checkpoints.every_n_steps=2",
)


_whole: list[RunDirectory] = []


@pytest.fixture
def whole(make_request: MakeRequest) -> RunDirectory:
    """The run that nothing happens to; one for all tests."""
    if not _whole:
        request = make_request(*SHORT)
        training.run_training(request)
        _whole.append(request.run)
    return _whole[0]


def _seeds() -> Iterator[object]:
    for seed in range(20):
        yield pytest.param(seed, marks=() if seed < 2 else pytest.mark.slow)


@pytest.mark.parametrize("seed", _seeds())
def test_killed_at_random_batches_with_and_without_workers(
    seed: int, make_request: MakeRequest, whole: RunDirectory
) -> None:
    chance = random.Random(seed)
    workers = f"data.num_workers={chance.choice([0, 2])}"
    broken = make_request(*SHORT, workers)
    resumed = broken
    for batch in sorted(chance.sample(range(NUM_BATCHES), 2)):
        assert train_in_child(resumed, partial(faults.at_batch, batch, faults.kill)).is_killed
        assert broken.run.status() == "interrupted"
        resumed = make_request(resumed=broken.run)
    assert train_in_child(resumed).code == 0
    assert_same_run(broken.run, whole)


@pytest.mark.parametrize("point", ["open", "half", "before", "after"])
# The first save, one within an epoch, one at an epoch's end.
@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 2))])
def test_killed_while_saving(
    number: int, point: str, make_request: MakeRequest, whole: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.kill_while_saving, number, point)).is_killed
    for checkpoint in broken.run.checkpoints.glob("*.ckpt"):
        load_checkpoint(checkpoint)
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    if point != "after":
        assert "the run was killed while it saved epoch=" in capfd.readouterr().out
    assert_same_run(broken.run, whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
@pytest.mark.parametrize("place", ["batch", "validation"])
def test_a_signal_saves_and_ends_with_its_own_code(
    place: str, number: signal.Signals, code: int, make_request: MakeRequest, whole: RunDirectory
) -> None:
    broken = make_request(*SHORT)
    send = faults.sending(number)
    at = partial(faults.at_batch, 2, send) if place == "batch" else partial(faults.at_validation, send)
    assert train_in_child(broken, at).code == code
    assert broken.run.record()["status"] == "interrupted"
    steps = 3 if place == "batch" else 4
    assert f"{number.name} at step {steps}: state saved; continue with resume=last" in broken.run.record()["error"]
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    assert_same_run(broken.run, whole)


def test_a_second_ctrl_c_ends_at_once_and_loses_only_the_steps_since_the_last_checkpoint(
    make_request: MakeRequest, whole: RunDirectory
) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.at_batch, 3, twice)).code == 130
    assert (broken.run.checkpoints / "last.ckpt").resolve().name == "epoch=0000-step=000002.ckpt"
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    assert_same_run(broken.run, whole)


def test_a_full_disk_keeps_the_checkpoint_before_and_says_how_much_is_needed(
    make_request: MakeRequest, whole: RunDirectory
) -> None:
    broken = make_request(*SHORT)
    # Everything fits but a checkpoint of 8 MB; the first one is written before.
    assert train_in_child(broken, partial(faults.at_batch, 3, partial(faults.limit_file_size, 4_000_000))).code == 1
    error = broken.run.record()["error"]
    assert "no room for" in error
    assert "it needs about 8 MB" in error
    assert "free some space, then continue with resume=last" in error
    assert not list(broken.run.checkpoints.glob(".*"))
    assert load_checkpoint(broken.run.checkpoints / "last.ckpt")["global_step"] == 2
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    assert_same_run(broken.run, whole)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_last_checkpoint_is_noticed_and_the_one_before_taken(
    damage: str, make_request: MakeRequest, whole: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.at_batch, 6, faults.kill)).is_killed
    last = broken.run.checkpoints / "last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 4
    last.write_bytes({"truncated": content[:-1000], "flipped": content, "empty": b""}[damage])
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    said = capfd.readouterr().out
    assert "damaged" in said or "cut off" in said
    assert "going on from epoch=0000-step=000002.ckpt" in said
    assert_same_run(broken.run, whole)


def test_memory_that_runs_out_is_told_with_the_batch_size(make_request: MakeRequest, whole: RunDirectory) -> None:
    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.at_batch, 5, faults.exhaust_memory)).code == EXIT_FAILED
    error = broken.run.record()["error"]
    assert "with data.batch_size=8 out of memory" in error
    assert "lower data.batch_size, and raise trainer.accumulate_grad_batches" in error
    assert train_in_child(make_request(resumed=broken.run)).code == 0
    assert_same_run(broken.run, whole)


def test_a_run_is_resumed_where_it_was_moved_to(make_request: MakeRequest, whole: RunDirectory, tmp_path: Path) -> None:
    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.at_batch, 6, faults.kill)).is_killed
    moved = tmp_path / "elsewhere" / "vgg_digits" / broken.run.id
    moved.parent.mkdir(parents=True)
    shutil.move(broken.run.path, moved)
    found = find_run(str(moved), tmp_path / "outputs")
    assert train_in_child(make_request(resumed=found)).code == 0
    assert_same_run(found, whole)
    assert not broken.run.path.exists()


def test_a_run_that_is_alive_is_not_resumed(make_request: MakeRequest, capfd: pytest.CaptureFixture[str]) -> None:
    alive = make_request(*SHORT)
    training.run_training(alive)
    alive.run.update(status="running")
    alive.run.lock()
    assert train_in_child(make_request(resumed=RunDirectory(alive.run.path)), _forget_locks).code == EXIT_REFUSED
    assert f"run {alive.run.id} is still running, as process {os.getpid()}" in capfd.readouterr().err
    alive.run.unlock()


def _forget_locks() -> None:
    """A forked process does not have its parent's locks, only what the parent noted of them."""
    from experiment import run_directory

    run_directory._held.clear()


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.marker),)


def test_code_in_a_checkpoint_is_not_run(
    make_request: MakeRequest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = make_request(*SHORT)
    assert train_in_child(broken, partial(faults.at_batch, 6, faults.kill)).is_killed
    for checkpoint in broken.run.checkpoints.glob("epoch=*.ckpt"):
        torch.save({"state_dict": _Payload(tmp_path / "was-here")}, checkpoint)
    assert train_in_child(make_request(resumed=broken.run)).code == EXIT_REFUSED
    assert "is not a checkpoint of plain data" in capfd.readouterr().err
    assert not (tmp_path / "was-here").exists()
