"""Checkpoints that are whole or not there."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from experiment.checkpoints import AtomicCheckpointIO, DamagedCheckpoint, load_checkpoint

STATE = {"state_dict": {"weight": torch.arange(20_000, dtype=torch.float32)}, "epoch": 3}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(STATE, file)
    return file


def test_what_was_saved_is_loaded(checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["state_dict"]["weight"], STATE["state_dict"]["weight"])  # type: ignore[index]


def test_nothing_but_the_checkpoint_is_left_in_the_folder(checkpoint: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(STATE, checkpoint)
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
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint(STATE, checkpoint)
    assert load_checkpoint(checkpoint)["epoch"] == 3
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_code_in_a_checkpoint_is_refused_even_if_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "object.ckpt"
    torch.save({"state_dict": Path("anything but data")}, file)
    with pytest.raises(DamagedCheckpoint, match="plain data"):
        AtomicCheckpointIO().load_checkpoint(file, weights_only=False)
