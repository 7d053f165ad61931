"""The identity of a run and its record on disk."""

import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiment.failures import Refused
from experiment.run_directory import RunDirectory, find_run, list_runs, new_run_id, replacing

CONFIG = OmegaConf.create({"seed": 1, "twice": "${seed}"})


def _run(outputs: Path, run_id: str, **record: object) -> RunDirectory:
    run = RunDirectory(outputs / "vgg_digits" / run_id)
    run.create({"status": "finished", **record}, CONFIG, diff=None)
    return run


def test_ten_thousand_ids_made_at_once_differ(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_run_id(tmp_path), range(10_000)))
    assert len(set(ids)) == len(ids)


def test_a_clock_that_was_set_back_leaves_the_newest_run_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for now in (1_800_000_000.5, 1_800_000_000.5, 1_799_990_000.0, 1_799_990_000.0, 1_800_000_001.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        ids.append(new_run_id(tmp_path))
        _run(tmp_path, ids[-1])
    assert sorted(ids) == ids
    assert find_run("last", tmp_path).id == ids[-1]


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    _run(tmp_path, "a")
    with pytest.raises(Refused, match="is another run's; start again"):
        _run(tmp_path, "a")


def test_the_configuration_is_kept_as_composed_and_as_resolved(tmp_path: Path) -> None:
    run = _run(tmp_path, "a")
    assert (run.path / "config.yaml").read_text() == "seed: 1\ntwice: ${seed}\n"
    assert (run.path / "config.resolved.yaml").read_text() == "seed: 1\ntwice: 1\n"


def test_a_failed_write_leaves_the_old_content_and_no_remains(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_text("old")

    def write_half() -> None:
        with replacing(file) as stream:
            stream.write(b"half of the n")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_line_cut_off_by_a_kill_is_not_read(tmp_path: Path) -> None:
    run = _run(tmp_path, "a")
    whole = json.dumps({"step": 1, "epoch": 0, "metrics": {"val/loss": 0.5}})
    (run.path / "metrics.jsonl").write_text(f'{whole}\n{{"step": 2, "metr')
    assert run.last_metrics() == {"val/loss": 0.5}


def test_a_replayed_step_counts_once_with_its_later_value(tmp_path: Path) -> None:
    run = _run(tmp_path, "a")
    rows = [{"step": 1, "epoch": 0, "metrics": {"val/loss": value}} for value in (0.5, 0.25)]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run.last_metrics() == {"val/loss": 0.25}


def test_a_run_whose_process_is_gone_was_interrupted(tmp_path: Path) -> None:
    run = _run(tmp_path, "a", status="running", pid=os.getpid(), host=platform.node())
    assert run.status() == "running"
    run.unlock()
    assert run.status() == "interrupted"


HOLDER = """
import sys
from pathlib import Path
from experiment.run_directory import RunDirectory
RunDirectory(Path(sys.argv[1])).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_run_that_another_process_is_at_is_refused_until_that_process_is_gone(tmp_path: Path) -> None:
    run = _run(tmp_path, "a", status="running", pid=123, host=platform.node())
    run.unlock()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert run.status() == "running"
        with pytest.raises(Refused, match=r"run a is still running, as process 123 on .*; wait for it, or end it"):
            run.lock()
        holder.kill()
    assert run.status() == "interrupted"
    run.lock()
    run.unlock()


def test_looking_at_a_run_does_not_give_up_its_lock(tmp_path: Path) -> None:
    run = _run(tmp_path, "a", status="running", pid=os.getpid(), host=platform.node())
    assert RunDirectory(run.path).status() == "running"
    done = subprocess.run(
        [sys.executable, "-c", HOLDER, str(run.path)],
        input="",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert "Refused" in done.stderr
    run.unlock()


def test_a_run_is_found_by_last_id_beginning_directory_and_checkpoint(tmp_path: Path) -> None:
    _run(tmp_path, "20260101-000000-aaaa")
    newest = _run(tmp_path, "20260102-000000-bbbb")
    checkpoint = newest.checkpoints / "best.ckpt"
    checkpoint.touch()
    for reference in ("last", newest.id, "20260102", str(newest.path), str(checkpoint)):
        assert find_run(reference, tmp_path).id == newest.id
    assert [run.id for run in list_runs(tmp_path)] == ["20260101-000000-aaaa", "20260102-000000-bbbb"]


def test_a_reference_to_no_run_or_to_several_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there are no runs in"):
        find_run("last", tmp_path)
    _run(tmp_path, "20260101-000000-aaaa")
    _run(tmp_path, "20260101-000000-bbbb")
    with pytest.raises(Refused, match="could be any of"):
        find_run("20260101", tmp_path)
    with pytest.raises(Refused, match="did you mean 20260101-000000-aaaa"):
        find_run("20260101-000000-aaab", tmp_path)
