"""Which sweep a command line goes on with, and when it must not."""

import os
from pathlib import Path

import pytest

from experiment.failures import Refused
from experiment.run_directory import RunDirectory, list_runs
from experiment.sweeps.sweep_directory import SweepDirectory, differences, open_sweep

DEFINITION = {"experiment": "vgg_digits", "space": {"optim.lr": "0.1,0.2"}, "seeds": []}


def _open(outputs: Path, *, resume: str = "auto", **changes: object) -> SweepDirectory:
    sweep = open_sweep(outputs, {**DEFINITION, **changes}, resume=resume, argv=[])
    sweep.leave_lock()
    return sweep


def test_the_same_command_goes_on_with_its_newest_sweep_and_another_starts_one(tmp_path: Path) -> None:
    first = _open(tmp_path)
    assert _open(tmp_path).id == first.id
    assert _open(tmp_path, seeds=[1, 2]).id != first.id
    anew = _open(tmp_path, resume="never")
    assert anew.id != first.id
    assert _open(tmp_path).id == max(first.id, anew.id)


def test_a_sweep_is_named_by_last_its_id_or_the_beginning_of_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there are no sweeps in"):
        _open(tmp_path, resume="last")
    sweep = _open(tmp_path)
    for name in ("last", sweep.id, sweep.id[:-2]):
        assert _open(tmp_path, resume=name).id == sweep.id
    with pytest.raises(Refused, match="resume=nothing is none in"):
        _open(tmp_path, resume="nothing")


def test_a_changed_space_is_refused_with_the_difference(tmp_path: Path) -> None:
    _open(tmp_path)
    with pytest.raises(Refused) as refusal:
        _open(tmp_path, resume="last", space={"optim.lr": "0.1,0.3"})
    assert str(refusal.value).splitlines()[1:] == ["- optim.lr: 0.1,0.2", "+ optim.lr: 0.1,0.3"]
    assert differences({"a": 1, "b": 2}, {"b": 2, "c": 3}) == ["- a: 1", "+ c: 3"]


def test_two_processes_never_run_one_sweep(tmp_path: Path) -> None:
    sweep = open_sweep(tmp_path, DEFINITION, resume="auto", argv=[])
    with pytest.raises(Refused, match=f"is being run by process {os.getpid()}; wait for it"):
        SweepDirectory(sweep.path).lock()
    sweep.leave_lock()


def test_trials_are_runs_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    sweep = _open(tmp_path)
    for number in (10, 9):
        folder = sweep.path / str(number)
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    ids = [run.id for run in list_runs(tmp_path)]
    assert ids == [f"{sweep.id}-9", f"{sweep.id}-10"]
    run = RunDirectory(sweep.path / "9")
    assert (run.sweep, run.outputs_dir) == (sweep.id, tmp_path)
