"""Whatever becomes of one trial, the others run, and it is known what became of it."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment.entry import CONF_DIR
from experiment.sweeps import scheduler
from experiment.sweeps.trial_records import TrialRecords
from tests.experiment.sweeps.fake_trials import grid, run_fake_sweep

Ask = Callable[[int, float], bool]


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until(is_so: Callable[[], bool], *, timeout_s: float = 20) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def _calls(sweep_dir: Path) -> list[str]:
    file = sweep_dir / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_trials_that_raise_exit_die_hang_or_run_out_of_memory_fail_alone(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        match params["x"]:
            case "raises":
                raise ZeroDivisionError("by zero")
            case "exits":
                sys.exit(3)
            case "exits_well":
                sys.exit(0)
            case "is_killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crashes":
                # pytest's own report of it would only be noise.
                faulthandler.disable()
                os.abort()
            case "hangs":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(60)
            case "runs_out_of_memory":
                bytearray(2**60)
        return 1.0

    bad = ["raises", "exits", "exits_well", "is_killed", "crashes", "hangs", "runs_out_of_memory"]
    source = grid(f"x=good,{','.join(bad)},good_too")
    grace = scheduler.GRACE_S
    scheduler.GRACE_S = 0.3
    try:
        interruption, records = run_fake_sweep(objective, source, tmp_path, num_slots=2, timeout_s=1.0)
    finally:
        scheduler.GRACE_S = grace
    assert interruption is None
    found = {record.params["x"]: (record.status, record.error or "") for record in records}
    expected = {
        "good": ("finished", ""),
        "raises": ("failed", "ZeroDivisionError: by zero"),
        "exits": ("failed", "sys.exit(3)"),
        "exits_well": ("failed", "sys.exit(0)"),
        "is_killed": ("killed", "ended by SIGKILL"),
        "crashes": ("killed", "ended by SIGABRT"),
        "hangs": ("timed out", "it ran longer than sweep.timeout_s=1"),
        "runs_out_of_memory": ("out of memory", "out of memory"),
        "good_too": ("finished", ""),
    }
    assert {name: status for name, (status, _) in found.items()} == {
        name: status for name, (status, _) in expected.items()
    }
    for name, (_, error) in expected.items():
        assert error in found[name][1]
    (raised,) = [record for record in records if record.params["x"] == "raises"]
    assert raised.traceback is not None
    assert "raise ZeroDivisionError" in raised.traceback


def test_as_many_trials_run_at_once_as_there_are_slots_each_with_its_own_devices(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        mine = tmp_path / f"slot-{os.environ['SLOT']}"
        # Two trials of one slot at a time would find the folder there.
        mine.mkdir()
        is_met = int(params["x"]) >= 3 or _wait_until(lambda: len(list(tmp_path.glob("slot-*"))) == 3)
        time.sleep(0.1)
        mine.rmdir()
        return float(is_met)

    _, records = run_fake_sweep(objective, grid("x=range(9)"), tmp_path, num_slots=3)
    assert [record.status for record in records] == ["finished"] * 9
    assert all(record.objective == 1 for record in records)


def test_what_a_trial_started_ends_with_it(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        process = subprocess.Popen(["sleep", "600"])
        (tmp_path / "pid").write_text(str(process.pid))
        if params["x"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    for how in ("killed", "finished"):
        _, (record,) = run_fake_sweep(objective, grid(), tmp_path / how, fixed=[f"x={how}"])
        assert record.status == how
        assert _wait_until(lambda: not _is_running(int((tmp_path / "pid").read_text())))


def test_a_trial_has_its_own_session_log_and_command_line(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        print("heard", sys.argv[1:], flush=True)
        return float(os.getsid(0) == os.getpid() != os.getppid())

    _, (record, _) = run_fake_sweep(objective, grid("x=1,2", "y=3"), tmp_path, fixed=["z=4"])
    assert record.objective == 1
    assert TrialRecords(tmp_path).log_file(0).read_text() == "heard ['z=4', 'x=1']\n"


def test_each_point_is_run_under_every_seed(tmp_path: Path) -> None:
    _, records = run_fake_sweep(lambda params, ask: float(params["seed"]), grid("x=a,b"), tmp_path, seeds=[4, 5, 6])
    assert [(record.number, record.point, record.objective) for record in records] == [
        (0, 0, 4.0),
        (1, 0, 5.0),
        (2, 0, 6.0),
        (3, 1, 4.0),
        (4, 1, 5.0),
        (5, 1, 6.0),
    ]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_trials_save_their_state_and_the_sweep_goes_on_later(
    tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        with (tmp_path / "calls").open("a") as calls:
            calls.write(f"{params['x']}\n")
        if params["x"] == "2" and not (tmp_path / "saved").exists():
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                (tmp_path / "saved").touch()
                raise
        return 1.0

    def stop_in_the_second_trial() -> None:
        _wait_until(lambda: len(_calls(tmp_path)) == 2)
        time.sleep(0.1)
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=stop_in_the_second_trial)
    # Forking a process with threads warns from Python 3.12 on; this one only sleeps.
    thread.start()
    interruption, records = run_fake_sweep(objective, grid("x=1,2,3"), tmp_path)
    thread.join()
    assert interruption == code
    assert [record.status for record in records] == ["finished", "interrupted"]
    assert (tmp_path / "saved").exists()

    interruption, records = run_fake_sweep(objective, grid("x=1,2,3"), tmp_path)
    assert interruption is None
    assert [record.status for record in records] == ["finished"] * 3
    assert _calls(tmp_path) == ["1", "2", "2", "3"]


def test_failed_trials_are_kept_until_it_is_asked_to_run_them_again(tmp_path: Path) -> None:
    def objective(params: dict[str, str], ask: Ask) -> float:
        if not (tmp_path / "mended").exists():
            raise ValueError("broken")
        return 1.0

    for mended, retries, status in ((False, False, "failed"), (True, False, "failed"), (True, True, "finished")):
        if mended:
            (tmp_path / "mended").touch()
        _, (record,) = run_fake_sweep(objective, grid("x=1"), tmp_path, retries_failed=retries)
        assert record.status == status


def _start_fake_sweep(sweep_dir: Path, *, num_trials: int, seconds: float) -> "subprocess.Popen[str]":
    module = "tests.experiment.sweeps.fake_trials"
    command = [sys.executable, "-m", module, str(sweep_dir), str(num_trials), str(seconds)]
    return subprocess.Popen(command, cwd=CONF_DIR.parent, text=True, stdout=subprocess.PIPE)


def test_after_kill_9_nothing_is_left_running_and_the_same_best_is_found(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert _start_fake_sweep(whole, num_trials=12, seconds=0).wait(timeout=60) == 0

    process = _start_fake_sweep(broken, num_trials=12, seconds=0.2)
    assert _wait_until(lambda: len(_calls(broken)) == 6)
    process.kill()
    process.wait()
    pids = [int(line.split()[0]) for line in _calls(broken)]
    assert _wait_until(lambda: not any(_is_running(pid) for pid in pids), timeout_s=5)
    num_ended = sum(record.is_ended for record in TrialRecords(broken))
    assert num_ended == 5

    assert _start_fake_sweep(broken, num_trials=12, seconds=0).wait(timeout=60) == 0
    records = list(TrialRecords(broken))
    assert [record.status for record in records] == ["finished"] * 12
    # The one in the middle of which the kill came ran twice, the others once.
    assert len(_calls(broken)) == 13
    expected = list(TrialRecords(whole))
    assert [record.params for record in records] == [record.params for record in expected]
    assert min(record.objective or 0 for record in records) == min(record.objective or 0 for record in expected)
