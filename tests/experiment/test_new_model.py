"""A model that was copied to be changed passes every test at once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.failures import Refused
from experiment.new_model import PROJECT, new_model


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own files, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (PROJECT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, tmp_path / name)
    # The rules of the house ask git for the files.
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("like", "experiment"), [("vgg", "vgg_digits"), ("ssd", "ssd_voc_shapes")])
def test_a_copy_passes_the_checks_and_its_tests_at_once(like: str, experiment: str, project: Path) -> None:
    new_model("my_model", like=like, experiment=experiment, project=project)
    for command in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", "-q", "-n", "0", "tests/test_house_rules.py", "tests/lightning_modules/test_my_model.py"],
        ["pytest", "-q", "-n", "0", "tests/test_contract.py", "-k", "my_model"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_experiment_that_is_copied_is_one_named_after_the_model(project: Path) -> None:
    files = new_model("my_vgg", like="vgg", experiment=None, project=project)
    assert Path("conf/experiment/my_vgg_digits.yaml") in files


@pytest.mark.parametrize(
    ("stem", "like", "experiment", "message"),
    [
        ("My-Model", "vgg", None, "no name for a module"),
        ("ssd", "vgg", None, "a model ssd already"),
        ("mine", "vg", None, "did you mean vgg"),
        ("mine", "vgg", "ssd_voc_shapes", "no experiment of vgg"),
    ],
)
def test_a_name_that_will_not_do_is_refused(stem: str, like: str, experiment: str | None, message: str) -> None:
    with pytest.raises(Refused, match=message):
        new_model(stem, like=like, experiment=experiment)
