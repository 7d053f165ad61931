"""Every command that the documentation shows is one that works: composed and checked, where it does not need a run."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import hydra
import pytest
from PIL import Image

import runs
from experiment.entry import CONF_DIR, _spell_out
from experiment.preflight import check_run
from tests.conftest import compose
from tests.test_command_line import run

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
    """One of a document: its program, its words, and the line after it."""

    document: str
    program: str
    words: list[str]
    next_line: str

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join([self.program, *self.words])}"


def commands(document: str) -> list[Command]:
    """Those in indented or fenced lines, and in the comment that opens a configuration."""
    text = re.sub(r"\\\n\s*#?\s*", " ", (PROJECT / document).read_text())
    lines = text.splitlines()
    found = []
    for line, next_line in zip(lines, [*lines[1:], ""], strict=True):
        match = re.match(r"^(?: {4}|#   )(?:\$ )?(?:\S+=<[^>]*> |\S+=\S+ )*python (\w+)\.py ?(.*)$", line)
        if match:
            words = shlex.split(re.sub(r"\s#\s.*$|\s{3,}\S.*$", "", match[2]))
            found.append(Command(document, match[1], words, next_line.strip()))
    return found


ALL = [command for document in DOCUMENTS for command in commands(document)]
TRAININGS = [c for c in ALL if c.program == "train" and not _READERS_OWN.search(" ".join(c.words))]

REFUSED = [command for command in TRAININGS if command.next_line.startswith("train.py:")]


@pytest.fixture(autouse=True)
def _readers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "one.png")
    for name in ("run", "walk"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        # Names and classes are read, nothing is decoded.
        (tmp_path / "clips" / name / "one.mp4").touch()


@pytest.mark.parametrize("command", [c for c in TRAININGS if "-m" not in c.words and c not in REFUSED], ids=str)
def test_a_training_is_composed_and_nothing_is_wrong_with_it(command: Command) -> None:
    _, problems = check_run(compose(*map(_spell_out, command.words)))
    assert [problem.message for problem in problems] == []


@pytest.mark.parametrize("command", REFUSED, ids=str)
def test_a_mistake_is_answered_as_it_is_shown(command: Command) -> None:
    refused = run("train.py", *command.words)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == command.next_line


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in TRAININGS if "-m" in c.words], ids=str)
def test_a_sweep_is_one(command: Command) -> None:
    done = run("train.py", *command.words, "check=true")
    assert done.returncode == 0, done.stderr


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
