"""What a configuration asks of the user's folder: told before torch is imported, written into the run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiment.data_facts import write_down_facts_
from experiment.entry import CONF_DIR
from experiment.preflight import check_run
from tests.conftest import compose
from tests.datamodules.image_folders import ANTS_BEES, make_images

TRANSFER = ("experiment=squeezenet_ants_bees_transfer", "data=image_folder")


def test_classes_and_their_number_come_from_the_folder(tmp_path: Path) -> None:
    make_images(tmp_path, {"bees": 1, "ants": 1, "wasps": 1})
    settings, problems = check_run(compose(*TRANSFER, f"data.folder={tmp_path}"))
    assert problems == []
    assert settings["data"]["class_names"] == ["ants", "bees", "wasps"]
    assert settings["data"]["num_classes"] == settings["model"]["num_classes"] == 3


def test_a_run_keeps_its_classes_when_the_folder_is_gone(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "photos", ANTS_BEES)
    config = compose(*TRANSFER, f"data.folder={folder}")
    settings, _ = check_run(config)
    write_down_facts_(config, settings)
    folder.rename(tmp_path / "elsewhere")
    kept = OmegaConf.to_container(config.data, resolve=False)
    assert (kept["class_names"], kept["num_classes"]) == (["ants", "bees"], 2)
    # What points to today's environment goes on doing so.
    assert kept["seed"] == "${seed}"


@pytest.mark.parametrize(
    ("counts", "overrides", "message"),
    [
        ({"ants": 2}, [], r"num_classes does not resolve: \S+ has only the class ants; it takes at least two"),
        (ANTS_BEES, ["model.num_classes=3"], "model.num_classes=3 but data.num_classes=2; leave model.num_classes to"),
        (ANTS_BEES, ["data.num_classes=3"], "data.num_classes=3, but data.class_names has ants, bees"),
    ],
)
def test_a_folder_that_does_not_fit_is_told_by_the_preflight(
    tmp_path: Path, counts: dict[str, int], overrides: list[str], message: str
) -> None:
    make_images(tmp_path, counts)
    _, problems = check_run(compose(*TRANSFER, f"data.folder={tmp_path}", *overrides))
    assert any(re.search(message, problem.message) for problem in problems), problems


def test_a_folder_must_be_given() -> None:
    _, problems = check_run(compose(*TRANSFER))
    assert [problem.message for problem in problems] == ["data.folder must be given; add data.folder=<value>"]


def test_asking_a_folder_imports_no_torch() -> None:
    code = "import sys, experiment.preflight; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CONF_DIR.parent, capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "False"


def test_classes_of_clips_come_from_the_folder_too(tmp_path: Path) -> None:
    for name in ("walk", "run", "sit"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.mp4").touch()
    settings, problems = check_run(compose("experiment=eco_actions", "data=video_folder", f"data.folder={tmp_path}"))
    assert problems == []
    assert settings["data"]["class_names"] == ["run", "sit", "walk"]
    assert settings["model"]["num_classes"] == 3
