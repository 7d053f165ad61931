"""Which runs a condition selects, and what of them is shown."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from experiment.entry import CONF_DIR
from experiment.runs.filters import parse_filter
from experiment.runs.summaries import config_value, flat, select
from tests.experiment.runs.past_runs import make_run

Ask = Callable[..., str]


@pytest.fixture
def three_runs(outputs: Path) -> None:
    now = datetime.now(UTC)
    make_run(outputs, "a", lr=0.1, rows=[(10, {"val/accuracy": 0.5})], tags=["first"], started=now.isoformat())
    old = (now - timedelta(days=3)).isoformat()
    make_run(outputs, "b", lr=0.01, rows=[(10, {"val/accuracy": 0.9})], status="failed", started=old)
    make_run(outputs, "c", experiment="vgg_mnist", sweep="s1", started=old, notes="null")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("status=failed", "b"),
        ("status!=failed", "ac"),
        ("val/accuracy>0.5", "b"),
        ("val/accuracy>=0.5", "ab"),
        ("val/accuracy<0.6", "a"),
        ("optim.lr=0.10", "a"),
        ("optim.lr<=0.01", "bc"),
        ("optim.betas=0.9", "abc"),
        ("optim.nothing=1", ""),
        ("tag=first", "a"),
        ("tag!=first", "bc"),
        ("age<2d", "a"),
        ("age>48h", "bc"),
        ("sweep=s1", "c"),
        ("sweep=null", "ab"),
        ("experiment=vgg_digits", "ab"),
        ("vgg_mnist", "c"),
    ],
)
def test_a_condition_selects_the_runs_that_meet_it(three_runs: None, condition: str, expected: str) -> None:
    assert "".join(run["id"] for run in select([condition])) == expected


def test_all_conditions_must_be_met_at_once(three_runs: None) -> None:
    assert [run["id"] for run in select(["vgg_digits", "age>2d", "status=failed"])] == ["b"]


def test_what_is_no_condition_is_refused_with_an_example(three_runs: None, ask: Ask) -> None:
    assert "ends in a value, as in status=finished" in ask("ls", "status=")
    assert "'high' is no number" in ask("ls", "val/accuracy>high")
    assert parse_filter("vgg_digits") is None


def test_one_key_is_read_as_the_whole_file_has_it(outputs: Path) -> None:
    folder = make_run(outputs, "a")
    text = (
        folder / "config.resolved.yaml"
    ).read_text() + "notes2: |\n  optim:\n    lr: 5\nlist:\n- a: 1\n  b: [2, 3]\n"
    (folder / "config.resolved.yaml").write_text(text)
    (summary,) = select([])
    for key, value in flat(yaml.safe_load(text)).items():
        assert config_value(summary, key) == value, key


def test_runs_are_sorted_by_a_value_with_those_without_it_first(three_runs: None, ask: Ask) -> None:
    rows = json.loads(ask("ls", "--sort", "val/accuracy", "--json"))
    assert [row["id"] for row in rows] == ["c", "a", "b"]
    assert [row["id"] for row in json.loads(ask("ls", "--sort", "optim.lr", "--limit", "1", "--json"))] == ["a"]


def test_the_table_shows_asked_columns_and_whole_ids(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "20260101-000000-" + "a" * 90, rows=[(1, {"test/accuracy": 0.75})])
    shown = ask("ls", "--columns", "optim.lr")
    assert "a" * 90 in shown
    header, row = shown.splitlines()
    assert row[header.index("optim.lr") :].startswith("0.01  ")
    assert "test/accuracy 0.75" in shown


def test_no_runs_are_said_to_be_none(ask: Ask) -> None:
    assert ask("ls").startswith("no runs in")


def test_a_run_that_was_killed_shows_what_it_logged_last(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "a", status="running", metrics={}, rows=[(1, {"val/loss": 2.0}), (2, {"val/loss": 1.0})])
    shown = json.loads(ask("show", "a", "--json"))
    assert shown["metrics"] == {"val/loss": 1.0}


def test_show_has_what_scripts_rely_on(outputs: Path, ask: Ask) -> None:
    make_run(outputs, "a", rows=[(10, {"val/accuracy": 0.9}), (20, {"val/accuracy": 0.8})])
    shown = json.loads(ask("show", "last", "--json"))
    names = "id dir status experiment seed wall_time_s num_epochs global_step metrics config git parent sweep"
    assert set(names.split()) <= shown.keys()
    assert "best 0.9 at step 10" in ask("show", "a")


@pytest.mark.parametrize("command", ["ls", "show", "best val/accuracy", "seeds", "export", "compare last", "diff a b"])
def test_no_command_about_runs_imports_torch(outputs: Path, command: str) -> None:
    for run_id in ("a", "b"):
        make_run(outputs, run_id, rows=[(10, {"val/accuracy": 0.5}), (20, {"val/accuracy": 0.6})])
    code = (
        "import sys, runpy\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name not in ('torch', 'pytorch_lightning', 'wandb', 'numpy'), name\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.argv = ['runs.py', *sys.argv[1:]]\n"
        "runpy.run_path('runs.py', run_name='__main__')"
    )
    script = [sys.executable, "-c", code, *command.split()]
    done = subprocess.run(script, cwd=CONF_DIR.parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
