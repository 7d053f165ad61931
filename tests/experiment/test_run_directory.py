"""The identity of a run and its record on disk."""

import json
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


def test_ten_thousand_ids_made_at_once_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_run_id(), range(10_000)))
    assert len(set(ids)) == len(ids)


def test_two_runs_never_share_a_directory(tmp_path: Path) -> None:
    _run(tmp_path, "a")
    with pytest.raises(FileExistsError):
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
    import platform

    # No process has a number that large.
    run = _run(tmp_path, "a", status="running", pid=2**22 + 1, host=platform.node())
    assert run.status() == "interrupted"


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
