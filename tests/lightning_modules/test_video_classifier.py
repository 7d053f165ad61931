"""What classifiers of clips say about whole videos, and how it is shown."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from datamodules.batches import ClipBatch, ClipClassificationBatch
from experiment.targets import instantiate_flat
from lightning_modules.r3d.module import R3DClassifier
from lightning_modules.video_pictures import VideoPrediction, animate_classification, draw_film_strip
from tests.conftest import compose
from tests.datamodules.clips import grey_levels, write_video


@pytest.fixture
def model() -> R3DClassifier:
    torch.manual_seed(0)
    optimizer: dict[str, Any] = {"_target_": "torch.optim.SGD", "lr": 0.1}
    return R3DClassifier(num_classes=3, width=0.125, weights=None, optimizer=optimizer, scheduler=None).eval()


def test_what_is_probable_is_the_mean_over_the_windows_so_far(model: R3DClassifier) -> None:
    clip = torch.randn(3, 3, 4, 32, 32)
    times = torch.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    with torch.no_grad():
        (prediction,) = model.predict_step(ClipBatch(clip, times), 0)
        probability = [model(window[None]).softmax(dim=1)[0] for window in clip]
    for number, window in enumerate(prediction["windows"], start=1):
        expected = sum(probability[:number]) / number
        assert {entry["label"]: entry["probability"] for entry in window["classes"]} == pytest.approx(
            dict(enumerate(expected.tolist())), abs=1e-5
        )
        assert (window["begin_s"], window["end_s"]) == (number - 1, number)
    assert prediction["classes"] == prediction["windows"][-1]["classes"]


def prediction() -> VideoPrediction:
    first = [{"label": 0, "probability": 0.6}, {"label": 1, "probability": 0.4}]
    second = [{"label": 1, "probability": 0.9}, {"label": 0, "probability": 0.1}]
    windows = [{"begin_s": 0.0, "end_s": 0.5, "classes": first}, {"begin_s": 0.5, "end_s": 1.0, "classes": second}]
    return {"classes": second, "windows": windows}  # type: ignore[typeddict-item]


def test_an_animation_is_as_long_as_its_video(tmp_path: Path) -> None:
    file = write_video(tmp_path / "clip.mp4", grey_levels(20), rate=20)
    frames, seconds_per_frame = animate_classification(file, prediction(), ["run", "walk"])
    assert len(frames) * seconds_per_frame == pytest.approx(1.0, abs=0.06)
    assert len({frame.size for frame in frames}) == 1


def test_the_label_changes_when_a_window_has_ended(tmp_path: Path) -> None:
    file = write_video(tmp_path / "clip.mp4", grey_levels(10), rate=10)
    frames, _ = animate_classification(file, prediction(), ["run", "walk"])
    bars = [np.asarray(frame)[26] for frame in frames]
    lengths = [int((bar == (66, 133, 244)).all(axis=1).sum()) / len(bar) for bar in bars]
    np.testing.assert_allclose(lengths, [0.6] * 10, atol=0.01)
    changed = [np.asarray(frame)[:24] for frame in frames]
    assert np.array_equal(changed[0], changed[4])
    assert not np.array_equal(changed[4], changed[5])


def test_a_film_strip_shows_frames_in_order(tmp_path: Path) -> None:
    file = write_video(tmp_path / "clip.mp4", grey_levels(12))
    strip = np.asarray(draw_film_strip(file, prediction(), ["run", "walk"]))
    width = strip.shape[1] // 6
    levels = [strip[60, column * width + width // 2, 0] for column in range(6)]
    np.testing.assert_allclose(levels, [20, 40, 60, 80, 100, 120], atol=3)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["c3d_ucf101", "eco_kinetics"])
def test_a_full_size_network_takes_an_optimisation_step(experiment: str) -> None:
    settings: Any = OmegaConf.to_container(compose(f"experiment={experiment}"), resolve=True)
    torch.manual_seed(0)
    model = instantiate_flat(settings["model"])
    model.trainer = SimpleNamespace(estimated_stepping_batches=1)
    optimizer = model.configure_optimizers()["optimizer"]
    before = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
    side, num_frames = settings["data"]["image_size"], settings["data"]["num_frames"]
    clip = torch.randn(2, 3, num_frames, side, side)
    loss = model._step(ClipClassificationBatch(clip, torch.tensor([0, 1])), "train")
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert [name for name, value in model.network.named_parameters() if torch.equal(value, before[name])] == []
