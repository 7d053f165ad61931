"""W&B's recordings: read whole, cut back to what is whole, else left alone."""

import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiment import training
from experiment.trackers.wandb_files import _records, last_step, recordings, repair
from experiment.trackers.weights_and_biases import STEP
from tests.conftest import MakeRequest
from tests.experiment.test_trackers import SHORT


def _log_file(payloads: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Records as LevelDB's description has them, written piece by piece; and where each one ends."""
    content, ends = bytearray(b":W&B\xe1\xbe\x00"), []
    for payload in payloads:
        rest, is_first = payload, True
        while rest or is_first:
            room = 32768 - len(content) % 32768
            if room < 7:
                content += b"\0" * room
                room = 32768
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[is_first, not rest]
            content += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            is_first = False
        ends.append(len(content))
    return bytes(content), ends


def test_a_cut_recording_is_cut_back_to_its_last_whole_record(tmp_path: Path) -> None:
    payloads = [b"a" * 100, b"b" * 40_000, b"c" * 70_000, b"d" * 50]
    content, ends = _log_file(payloads)
    file = tmp_path / "run.wandb"
    for cut in [7, 8, *(end + offset for end in ends for offset in (-1, 0, 3)), 32768, 32770, 65536]:
        file.write_bytes(content[:cut])
        repair(file)
        whole = [end for end in ends if end <= cut]
        kept = file.read_bytes()
        # Zeros that fill a block may stay.
        assert kept.rstrip(b"\0")[:7] == content[:7].rstrip(b"\0") or kept[: whole[-1]] == content[: whole[-1]]
        assert len(kept) - (whole[-1] if whole else 7) in range(7)
        assert [record.content for record in _records(kept)] == payloads[: len(whole)]
        assert repair(file) == 0


def test_a_real_recording_is_read_whole_and_left_as_it_is(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request(*SHORT, "logger=wandb")
    training.run_training(request)
    (folder,) = recordings(tmp_path / "outputs", request.run.id)
    (file,) = folder.glob("*.wandb")
    # W&B's own process writes the file, and may not be done when a run of this one ends.
    for _ in range(100):
        if last_step(file, key=STEP) is not None:
            break
        time.sleep(0.1)
    before = file.read_bytes()
    assert repair(file) == 0
    assert file.read_bytes() == before
    assert last_step(file, key=STEP) == max(row["step"] for row in request.run.metric_rows())
    with file.open("ab") as stream:
        stream.write(before[7:20])
    assert repair(file) == 13
    assert file.read_bytes() == before


def test_another_file_than_wandbs_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "other.wandb"
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no recording of W&B"):
        repair(file)
    assert file.read_bytes() == b"something else"
