"""Predictions for a user's videos: pictures, animations and windows."""

import json
from pathlib import Path

import pytest
from PIL import Image

from experiment import training
from experiment.failures import Refused
from experiment.prediction import run_prediction
from tests.conftest import MakeRequest
from tests.datamodules.clips import grey_levels, write_video


def test_a_video_is_predicted_window_by_window_and_animated(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request(
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=1",
        "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1",
        "callbacks.validation_pictures=null",
        experiment="eco_moving_shapes",
    )
    training.run_training(request)
    write_video(tmp_path / "inputs" / "mine.mp4", grey_levels(20), rate=10)
    command = {
        "run": request.run.id,
        "inputs": str(tmp_path / "inputs"),
        "output_dir": str(tmp_path / "seen"),
        "checkpoint": "best",
        "accelerator": "cpu",
        "window_s": 1.0,
        "hop_s": 0.5,
    }
    folder = run_prediction(command, request.run)
    (entry,) = json.loads((folder / "predictions.json").read_text())["predictions"]
    windows = entry["prediction"]["windows"]
    assert [(window["begin_s"], window["end_s"]) for window in windows] == [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)]
    assert sum(c["probability"] for c in entry["prediction"]["classes"]) == pytest.approx(1.0, abs=1e-5)
    with Image.open(folder / entry["animation"]) as animation:
        # 20 frames at 10 a second.
        assert animation.n_frames * animation.info["duration"] == pytest.approx(2000, rel=0.1)  # type: ignore[attr-defined]
    (tmp_path / "inputs" / "mine.gif").write_bytes(b"an input of that name")
    with pytest.raises(Refused, match=r"mine\.gif would be overwritten"):
        run_prediction({**command, "output_dir": str(tmp_path / "inputs")}, request.run)
    with pytest.raises(Refused, match=r"window_s=1\.0, hop_s=None: give seconds above 0 for both"):
        run_prediction({**command, "hop_s": None}, request.run)
