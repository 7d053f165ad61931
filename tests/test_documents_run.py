"""Every command of README, docs and cards runs, in its order, for a reader with small files of their own.

Trainings are cut short: by `debug=limit`, sweeps to two trials.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.contract_tables import FULL_SIZE, FULL_SIZE_ELSEWHERE
from tests.readers_files import write_readers_files
from tests.test_command_line import PROJECT
from tests.test_documented_commands import DOCUMENTS, Command, commands

pytestmark = [pytest.mark.slow, pytest.mark.real_data]

_RUN_ID = r"\d{8}-\d{6}-\w{8,}"
_SHORT = ("debug=limit", "trainer.max_epochs=1", "logger=none")
_WITHIN_S = 600
# What a machine of its own, a server or a cluster is needed for, by words of the command.
ELSEWHERE = {
    "sweep/workers=slurm": "needs SLURM; tests/experiment/sweeps has it with a pretended one",
    "sweep/workers=ray": "needs a cluster of Ray",
    "sweep.storage=postgresql://user@host/sweeps": "needs a server of PostgreSQL",
    "pretrained=imagenet": "downloads the weights; tests/experiment has it with the genuine file of another network",
    "experiment=squeezenet_ants_bees_finetune model.backbone=resnet18": "downloads the weights of ResNet-18",
    "model.weights=pytorch_model.bin": "needs the published weights",
    "...": "has its beginning in the line before",
    "dashboard": "serves until it is stopped; tests/experiment/runs starts and stops it",
    "sync": "needs an account of W&B",
    "trainer.max_epoch=3": "is refused, as shown; test_documented_commands.py compares the answer",
    "verify": "takes minutes; test_documented_commands.py and tests/faults have it",
}

# They take it that there are runs and a sweep already.
ABOUT_RUNS = ("docs/comparing_runs.md", "docs/reliability.md")


class Reader:
    """Someone at a terminal, who replaces what the documentation leaves open by runs of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[str] = []
        self.sweeps: list[str] = []

    def follow(self, command: Command) -> None:
        """Run it; a training's identity is remembered."""
        if any(word.startswith("samples=") for word in command.words):
            self._train_a_generator()
        words = [f"{command.program}.py", *self._own(command.words)]
        done = self.type(*words, *_shortened(command))
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"

    def type(self, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command, from the folder with the files."""
        done = subprocess.run(
            [sys.executable, str(PROJECT / program), *words],
            cwd=self.folder,
            env={**os.environ, "FIRSTHAND_OUTPUTS": "outputs"},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        self.runs += re.findall(rf"^training \w+, run ({_RUN_ID})", done.stdout, re.MULTILINE)
        self.sweeps += re.findall(rf"sweep ({_RUN_ID})", done.stdout)
        return done

    def _train_a_generator(self) -> None:
        last = self.type("runs.py", "show", "last", "--json")
        if json.loads(last.stdout)["experiment"].startswith(("dcgan_", "sagan_")):
            return
        assert self.type("train.py", "experiment=dcgan_digits", *_SHORT).returncode == 0

    def _own(self, words: list[str]) -> list[str]:
        text = " ".join(words) if any("<" in word for word in words) else shlex.join(words)
        # The published file's name says what is in it.
        text = text.replace("resnet18-f37072fd.pth", "resnet18.pth")
        text = re.sub(r"outputs/(\w+)/<run>", lambda found: str(self._last_of(found[1])), text)
        text = re.sub(r"<[^>]*>", lambda _: self.runs[-1], text)
        text = re.sub(rf"sweep={_RUN_ID}", lambda _: f"sweep={self.sweeps[-1]}", text)
        return [self.runs["ABC".index(word)] if word in tuple("ABC") else word for word in shlex.split(text)]

    def _last_of(self, experiment: str) -> Path:
        return sorted((self.folder / "outputs" / experiment).iterdir())[-1]


def _shortened(command: Command) -> tuple[str, ...]:
    if command.program != "train" or "check=true" in command.words:
        return ()
    if any(word.startswith(("resume=last", "fork=")) for word in command.words):
        return ("trainer.max_epochs=2",)
    if "sweep=optuna" in command.words:
        return (*_SHORT, "n_trials=2")
    return _SHORT


def _not_here(command: Command) -> bool:
    experiment = next((word.partition("=")[2] for word in command.words if word.startswith("experiment=")), "")
    is_full_size = experiment in FULL_SIZE | FULL_SIZE_ELSEWHERE
    needs_gpu = is_full_size or "trainer=gpu" in command.words
    words = f" {' '.join(command.words)} "
    return any(f" {elsewhere} " in words for elsewhere in ELSEWHERE) or (needs_gpu and not torch.cuda.is_available())


RUN_HERE = {document: [c for c in commands(document) if not _not_here(c)] for document in DOCUMENTS}


@pytest.mark.parametrize("document", [d for d, found in RUN_HERE.items() if found and not d.endswith(".yaml")])
def test_a_reader_can_follow_it_from_top_to_bottom(document: str, tmp_path: Path) -> None:
    write_readers_files(tmp_path)
    reader = Reader(tmp_path)
    if document in ABOUT_RUNS:
        for _ in range(3):
            assert reader.type("train.py", *_SHORT, "tags=[first]").returncode == 0
        assert reader.type("train.py", *_SHORT, "optim.lr=1e30").returncode == 1
        assert reader.type("train.py", "-m", "seed=1,2", *_SHORT).returncode == 0
    for command in RUN_HERE[document]:
        reader.follow(command)
