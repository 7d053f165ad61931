"""Checkpoints that are whole or not there."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from experiment.checkpoint_writing import AtomicCheckpointIO
from experiment.checkpoints import DamagedCheckpoint, load_checkpoint
from experiment.failures import RunFailed

STATE = {"state_dict": {"weight": torch.arange(20_000, dtype=torch.float32)}, "epoch": 3}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / "last.ckpt"
    save(STATE, file)
    return file


def save(state: dict[str, Any], file: Path) -> None:
    writer = AtomicCheckpointIO()
    writer.save_checkpoint(state, file)
    writer.wait()


def test_what_was_saved_is_loaded(checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["state_dict"]["weight"], STATE["state_dict"]["weight"])  # type: ignore[index]


def test_nothing_but_the_checkpoint_is_left_in_the_folder(checkpoint: Path) -> None:
    save(STATE, checkpoint)
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_in_the_weights_is_noticed(checkpoint: Path, seed: int) -> None:
    content = bytearray(checkpoint.read_bytes())
    # The weights are nearly the whole file; its first and last hundredths are the archive's own.
    place = random.Random(seed).randrange(len(content) // 20, len(content) * 19 // 20)
    content[place] ^= 1 << (seed % 8)
    checkpoint.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("length", [0, 1, 100, 40_000, -1])
def test_a_file_that_is_cut_off_is_refused(checkpoint: Path, length: int) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    with pytest.raises(DamagedCheckpoint, match="is cut off"):
        load_checkpoint(checkpoint)


def test_a_failing_save_leaves_the_old_checkpoint(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(state: Any, stream: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(RunFailed, match=r"no room for .*last\.ckpt: it needs about 0 MB, \d+ MB are free"):
        save(STATE, checkpoint)
    assert load_checkpoint(checkpoint)["epoch"] == 3
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_code_in_a_checkpoint_is_refused_even_if_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "object.ckpt"
    torch.save({"state_dict": Path("anything but data")}, file)
    with pytest.raises(DamagedCheckpoint, match="plain data"):
        AtomicCheckpointIO().load_checkpoint(file, weights_only=False)


def test_what_is_saved_is_the_state_at_the_call_whatever_training_does_to_it_meanwhile(tmp_path: Path) -> None:
    weight, tied = torch.zeros(1000), torch.ones(3)
    writer = AtomicCheckpointIO()
    writer.save_checkpoint({"weight": weight, "first": tied, "second": tied}, tmp_path / "last.ckpt")
    weight += 1
    loaded = writer.load_checkpoint(tmp_path / "last.ckpt")
    assert not loaded["weight"].any()
    assert loaded["first"].data_ptr() == loaded["second"].data_ptr()


def test_what_follows_a_save_happens_only_if_it_succeeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    writer = AtomicCheckpointIO()
    writer.save_checkpoint(STATE, tmp_path / "one.ckpt")
    writer.then(lambda: done.append("one"))
    writer.wait()
    monkeypatch.setattr(torch, "save", lambda *_: 1 / 0)
    writer.save_checkpoint(STATE, tmp_path / "two.ckpt")
    writer.then(lambda: done.append("two"))
    with pytest.raises(ZeroDivisionError):
        writer.wait()
    assert done == ["one"]
