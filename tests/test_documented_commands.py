"""Every command that the documentation shows is one that works: composed and checked, where it does not need a run."""

import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import hydra
import pytest
from PIL import Image

import runs
from experiment.entry import CONF_DIR, _spell_out
from experiment.preflight import check_run
from tests.conftest import compose
from tests.test_command_line import run, show_last

PROJECT = CONF_DIR.parent
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md"),
    *(str(file.relative_to(PROJECT)) for file in sorted(PROJECT.glob("docs/*.md"))),
    *(str(file.relative_to(PROJECT)) for file in sorted(PROJECT.glob("lightning_modules/*/README.md"))),
    *(str(file.relative_to(PROJECT)) for file in sorted(CONF_DIR.rglob("*.yaml"))),
]
# Words that stand for a run, a machine or a file that only the reader has.
_READERS_OWN = re.compile(r"<|\.\.\.|=last\b|\$|resume=2|fork=2|run=")


class Command(NamedTuple):
    """One of a document: its program, its words, and the indented lines after it."""

    document: str
    program: str
    words: list[str]
    following: list[str]

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join([self.program, *self.words])}"


def commands(document: str) -> list[Command]:
    """Those in indented or fenced lines, and in the comment that opens a configuration."""
    text = re.sub(r"\\\n\s*#?\s*", " ", (PROJECT / document).read_text())
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        match = re.match(r"^(?: {4}|#   )(?:\$ )?(?:\S+=<[^>]*> |\S+=\S+ )*python (\w+)\.py ?(.*)$", line)
        if match:
            words = shlex.split(re.sub(r"\s#\s.*$|\s{3,}\S.*$", "", match[2]))
            following = takewhile(lambda after: after.startswith("    "), lines[number + 1 :])
            found.append(Command(document, match[1], words, [after.strip() for after in following]))
    return found


ALL = [command for document in DOCUMENTS for command in commands(document)]
TRAININGS = [c for c in ALL if c.program == "train" and not _READERS_OWN.search(" ".join(c.words))]

REFUSED = [c for c in TRAININGS if c.following and c.following[0].startswith("train.py:")]


def shown(document: str, start: str) -> Command:
    """The command of a document that begins so."""
    (command,) = [c for c in commands(document) if shlex.join([c.program, *c.words]).startswith(start)]
    return command


@pytest.fixture(autouse=True)
def _readers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ants", "bees"):
        _photograph(tmp_path / "photos" / name)
    for name in ("train/good", "test/good", "test/scratch"):
        _photograph(tmp_path / "parts" / name)
    for name in ("run", "walk"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        # Names and classes are read, nothing is decoded.
        (tmp_path / "clips" / name / "one.mp4").touch()


def _photograph(folder: Path) -> None:
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "one.png")


@pytest.mark.parametrize("command", [c for c in TRAININGS if "-m" not in c.words and c not in REFUSED], ids=str)
def test_a_training_is_composed_and_nothing_is_wrong_with_it(command: Command) -> None:
    _, problems = check_run(compose(*map(_spell_out, command.words)))
    assert [problem.message for problem in problems] == []


@pytest.mark.parametrize("command", REFUSED, ids=str)
def test_a_mistake_is_answered_as_it_is_shown(command: Command) -> None:
    refused = run("train.py", *command.words)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == command.following[0]


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in TRAININGS if "-m" in c.words], ids=str)
def test_a_sweep_is_one(command: Command) -> None:
    done = run("train.py", *command.words, "check=true")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_first_training_comes_out_as_it_is_shown() -> None:
    stated = re.findall(r"^ {4}test/(\w+) +([0-9.]+)$", (PROJECT / "README.md").read_text(), re.MULTILINE)
    done = run("train.py", "logger=none", timeout_s=600)
    assert done.returncode == 0, done.stderr
    metrics = show_last()["metrics"]
    assert [name for name, _ in stated] == ["accuracy", "loss"]
    for name, value in stated:
        # Other processors, versions and threads add up in another order: of 360 digits, five may change sides.
        assert metrics[f"test/{name}"] == pytest.approx(float(value), abs=5 / 360 if name == "accuracy" else 0.05)


@pytest.mark.slow
def test_the_sweep_of_two_processes_comes_out_as_it_is_shown() -> None:
    command = shown("README.md", "train -m trainer=ddp_cpu")
    done = run("train.py", *command.words, "logger=none", timeout_s=600)
    assert done.returncode == 0, done.stderr
    columns = re.split(r" {2,}", command.following[0])
    tables = [
        [dict(zip(columns, re.split(r" {2,}", line.strip()), strict=True)) for line in lines]
        for lines in (command.following[1:], re.findall(r"^\d+ +\d+  .*finished.*$", done.stdout, re.MULTILINE))
    ]
    for stated, found in zip(*tables, strict=True):
        assert {**stated, "time": "", "val/accuracy": ""} == {**found, "time": "", "val/accuracy": ""}
        # Three epochs of 180 validation digits, far from their end, where a few steps make much of a difference.
        assert float(found["val/accuracy"]) == pytest.approx(float(stated["val/accuracy"]), abs=0.15)


@pytest.mark.slow
def test_the_proof_of_resuming_comes_out_as_it_is_shown() -> None:
    command = shown("README.md", "runs verify")
    done = run("runs.py", *command.words, timeout_s=600)
    assert done.returncode == 0, done.stdout
    found, stated = (re.sub(r"\d+ s\b", "", text) for text in (done.stdout.strip(), "\n".join(command.following)))
    assert found == stated


@pytest.mark.parametrize("command", [c for c in ALL if c.program in ("evaluate", "predict")], ids=str)
def test_an_evaluation_or_prediction_is_composed(command: Command) -> None:
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        hydra.compose(command.program, command.words)


@pytest.mark.parametrize("command", [c for c in ALL if c.program == "runs"], ids=str)
def test_a_question_about_runs_is_one_that_is_answered(command: Command) -> None:
    assert not command.words or command.words[0] in runs.COMMANDS


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    shown = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"(?:^ {4}|`)make ([a-z-]+)", (PROJECT / document).read_text(), re.MULTILINE)
    }
    assert shown - targets == set()
    assert {"train", "test"} <= shown
