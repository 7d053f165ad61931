"""Which files are predicted, and where their pictures go."""

from pathlib import Path

import pytest
from PIL import Image

from experiment import training
from experiment.failures import Refused
from experiment.prediction import find_inputs, run_prediction
from tests.conftest import MakeRequest


def _images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 200).save(folder / name)


def test_a_file_a_folder_and_a_pattern_name_inputs(tmp_path: Path) -> None:
    _images(tmp_path, "b.png", "a.png", "deeper/c.png")
    assert find_inputs(str(tmp_path / "b.png")) == [tmp_path / "b.png"]
    assert find_inputs(str(tmp_path)) == [tmp_path / "a.png", tmp_path / "b.png"]
    assert len(find_inputs(str(tmp_path / "**" / "*.png"))) == 3


def test_no_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no such file, folder or match"):
        find_inputs(str(tmp_path))


def test_every_input_has_a_picture_and_none_is_overwritten(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    training.run_training(request)
    inputs = tmp_path / "inputs"
    _images(inputs, "a.png", "x/a.png", "y/a.png", "a_2.png")
    command = {
        "run": request.run.id,
        "inputs": str(inputs / "**" / "*.png"),
        "output_dir": str(tmp_path / "seen"),
        "checkpoint": "best",
        "accelerator": "cpu",
    }
    folder = run_prediction(command, request.run)
    assert len(list(folder.glob("*.png"))) == 4
    with pytest.raises(Refused, match=r"a\.png would be overwritten by a prediction; choose another output_dir"):
        run_prediction({**command, "output_dir": str(inputs)}, request.run)
