"""`runs.py sync` against a server that keeps what it is sent."""

import json
import os
import struct
import subprocess
import sys
import zlib
from argparse import Namespace
from pathlib import Path

import pytest

from experiment import training
from experiment.entry import CONF_DIR
from experiment.run_directory import RunDirectory
from experiment.runs.syncing import answer
from experiment.trackers.wandb_files import recordings
from tests.conftest import MakeRequest
from tests.experiment.fake_wandb_server import FakeWandbServer, fake_wandb_server
from tests.experiment.runs.past_runs import make_run
from tests.experiment.test_trackers import SHORT


def sync(server: FakeWandbServer, outputs: Path) -> str:
    environment = {**os.environ, "FIRSTHAND_OUTPUTS": str(outputs), "WANDB_BASE_URL": server.url}
    environment |= {"WANDB_API_KEY": "k" * 40, "WANDB_MODE": "online"}
    command = [sys.executable, "runs.py", "sync"]
    done = subprocess.run(command, cwd=CONF_DIR.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def values(rows: list[dict[str, object]], name: str) -> list[object]:
    return [row[name] for row in rows if name in row]


def in_ledger(run: RunDirectory, name: str) -> list[object]:
    return values([row["metrics"] for row in run.metric_rows()], name)


def test_a_look_at_what_waits_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = make_run(tmp_path, "20260101-120000-aaaaaaaaaa").name
    folder = tmp_path / "wandb" / f"offline-run-20260101_120000-{run_id}"
    folder.mkdir(parents=True)
    file = folder / f"run-{run_id}.wandb"
    # W&B's header, one record, and a part of one.
    record = b"abc"
    whole = b":W&B\x2f\x01\x00" + struct.pack("<IHB", zlib.crc32(record, zlib.crc32(b"\x01")), len(record), 1) + record
    file.write_bytes(whole + b"\x01\x02")
    monkeypatch.setenv("FIRSTHAND_OUTPUTS", str(tmp_path))
    assert answer(Namespace(runs=[], include_online=False, check=True)) == 0
    assert folder.name in capsys.readouterr().out
    assert file.read_bytes() == whole + b"\x01\x02"


@pytest.mark.slow
def test_every_value_of_a_resumed_and_of_a_failed_run_is_uploaded_once(
    make_request: MakeRequest, tmp_path: Path
) -> None:
    request = make_request(*SHORT, "logger=wandb")
    training.run_training(request)
    resumed = make_request(resumed=request.run)
    resumed.settings["trainer"]["max_epochs"] = resumed.config.trainer.max_epochs = 3
    training.run_training(resumed)
    # A kill in the middle of a record, and one before anything was written.
    folder, _ = recordings(tmp_path / "outputs", request.run.id)
    (file,) = folder.glob("*.wandb")
    file.write_bytes(file.read_bytes() + b"\x01\x02\x03\x04\xff\x00\x01half a record")
    empty = folder.with_name(folder.name.replace("run-2", "run-1"))
    empty.mkdir()
    (empty / file.name).write_bytes(file.read_bytes()[:7])
    failing = make_request(*SHORT, "logger=wandb", "optim.lr=1e30")
    with pytest.raises(Exception, match="not finite"):
        training.run_training(failing)

    with fake_wandb_server() as server:
        printed = sync(server, tmp_path / "outputs")
        assert "cut 20 bytes" in printed
        assert "a kill came before anything was written" in printed
        rows = server.rows[request.run.id]
        for name in ("train/loss_step", "val/loss", "val/accuracy", "test/accuracy"):
            # A longer run is tested anew: W&B has both, the ledger the last.
            expected = in_ledger(request.run, name)
            assert values(rows, name)[-len(expected) :] == pytest.approx(expected)
        assert len(values(rows, "val/loss")) == len(in_ledger(request.run, "val/loss")) == 3
        assert len(values(rows, "train/loss_step")) == len(in_ledger(request.run, "train/loss_step"))
        assert server.exit_codes[failing.run.id] == [1]
        before = json.dumps(server.rows)
        assert not (CONF_DIR.parent / "wandb").exists()
        assert "nothing to upload" in sync(server, tmp_path / "outputs")
        assert json.dumps(server.rows) == before
