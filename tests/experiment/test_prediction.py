"""Which files are predicted, and where their pictures go."""

import json
from pathlib import Path

import hydra
import pytest
import torch
import torchvision
from omegaconf import OmegaConf
from PIL import Image

from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.entry import CONF_DIR
from experiment.failures import Refused
from experiment.prediction import find_inputs, run_prediction
from experiment.start import prepare_prediction
from tests.conftest import MakeRequest


def _images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 200).save(folder / name)


def test_a_file_a_folder_and_a_pattern_name_inputs(tmp_path: Path) -> None:
    _images(tmp_path, "b.png", "a.png", "deeper/c.png", ".hidden.png")
    assert find_inputs(str(tmp_path / "b.png")) == [tmp_path / "b.png"]
    assert find_inputs(str(tmp_path)) == [tmp_path / "a.png", tmp_path / "b.png"]
    assert len(find_inputs(str(tmp_path / "**" / "*.png"))) == 3


def test_a_folder_of_classes_names_their_files(tmp_path: Path) -> None:
    _images(tmp_path, "bees/a.png", "ants/b.png", "ants/.hidden.png")
    assert find_inputs(str(tmp_path)) == [tmp_path / "ants" / "b.png", tmp_path / "bees" / "a.png"]


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


def test_a_checkpoint_with_another_number_of_classes_is_refused(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    training.run_training(request)
    file = request.run.checkpoints / "best.ckpt"
    checkpoint = load_checkpoint(file)
    state = checkpoint["state_dict"]
    for name in ("network.classifier.6.weight", "network.classifier.6.bias"):
        state[name] = state[name][:7].clone()
    torch.save(checkpoint, file)
    _images(tmp_path, "a.png")
    command = {"run": request.run.id, "inputs": str(tmp_path / "a.png"), "output_dir": None, "checkpoint": "best",
               "accelerator": "cpu"}  # fmt: skip
    with pytest.raises(Refused, match=r"another number of classes: size mismatch for network\.classifier\.6\.weight"):
        run_prediction(command, request.run)


def _pretrained(*overrides: str) -> Path:
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        config = hydra.compose("predict", [*overrides])
    OmegaConf.set_struct(config, False)
    request, run = prepare_prediction(config)
    return run_prediction(request, run)


def test_published_weights_predict_without_a_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_1().eval()
    torch.save(theirs.state_dict(), tmp_path / "published.pth")
    _images(tmp_path, "photo.png")
    folder = _pretrained(
        "pretrained=imagenet",
        "model.backbone=squeezenet1_1",
        f"model.weights={tmp_path / 'published.pth'}",
        f"inputs={tmp_path / 'photo.png'}",
        f"output_dir={tmp_path / 'seen'}",
    )
    (entry,) = json.loads((folder / "predictions.json").read_text())["predictions"]
    # A grey picture is the same however it is scaled and cropped.
    preset = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    with Image.open(tmp_path / "photo.png") as photo, torch.no_grad():
        expected = theirs(preset(photo.convert("RGB").resize((300, 300)))[None]).softmax(dim=1)[0].topk(5)
    found = entry["prediction"]["classes"]
    assert [c["label"] for c in found] == expected.indices.tolist()
    assert [c["probability"] for c in found] == pytest.approx(expected.values.tolist(), rel=1e-4)


def test_weights_without_the_classes_asked_for_are_refused(tmp_path: Path) -> None:
    torch.save(torchvision.models.squeezenet1_1(num_classes=10).state_dict(), tmp_path / "ten.pth")
    _images(tmp_path, "photo.png")
    common = ("pretrained=imagenet", "model.backbone=squeezenet1_1", f"inputs={tmp_path / 'photo.png'}")
    with pytest.raises(Refused, match=r"ten\.pth lacks classifier\.1\.weight, classifier\.1\.bias; without training"):
        _pretrained(*common, f"model.weights={tmp_path / 'ten.pth'}")
    with pytest.raises(Refused, match=r"model.weights=None lacks all"):
        _pretrained(*common, "model.weights=null")


def test_neither_a_run_nor_a_pretrained_network_is_refused() -> None:
    with pytest.raises(Refused, match="give one of run=last and pretrained=imagenet"):
        _pretrained("inputs=photo.png")
    with pytest.raises(Refused, match="give one of run=last and pretrained=imagenet"):
        _pretrained("inputs=photo.png", "run=last", "pretrained=imagenet")


def test_a_model_that_needs_no_input_writes_samples_and_ways_between_them(make_request: MakeRequest) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2", experiment="sagan_digits")
    training.run_training(request)
    command = {"run": request.run.id, "inputs": None, "output_dir": None, "checkpoint": "best", "accelerator": "cpu"}
    folder = run_prediction({**command, "samples": 3, "seed": 0}, request.run)
    names = {"samples_0.png", "samples_1.png", "interpolations.png"}
    assert {path.name for path in folder.iterdir()} == names
    first, ways = (folder / "interpolations.png").read_bytes(), Image.open(folder / "interpolations.png")
    # Three rows of ten images of 16 pixels, enlarged four times, with a margin of 2.
    assert ways.size == (10 * 66 + 2, 3 * 66 + 2)
    run_prediction({**command, "samples": 3, "seed": 1}, request.run)
    assert (folder / "interpolations.png").read_bytes() != first
    with pytest.raises(Refused, match="samples=0 is a number of rows"):
        run_prediction({**command, "samples": 0, "seed": 0}, request.run)
    with pytest.raises(Refused, match="SAGAN with DigitsDataModule does not predict files"):
        run_prediction({**command, "inputs": str(folder / "samples_0.png")}, request.run)


def test_a_model_that_predicts_files_asks_for_some(make_request: MakeRequest) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2")
    training.run_training(request)
    command = {"run": request.run.id, "inputs": None, "output_dir": None, "checkpoint": "best", "accelerator": "cpu"}
    with pytest.raises(Refused, match="VGGClassifier predicts files; give inputs="):
        run_prediction({**command, "samples": 3, "seed": 0}, request.run)


def test_anomalies_are_drawn_beside_what_the_generator_makes(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request("trainer.max_epochs=1", "trainer.limit_train_batches=2", experiment="efficient_gan_digits")
    training.run_training(request)
    _images(tmp_path, "a.png", "b.png")
    command = {"run": request.run.id, "inputs": str(tmp_path / "*.png"), "output_dir": str(tmp_path / "seen"),
               "checkpoint": "best", "accelerator": "cpu"}  # fmt: skip
    folder = run_prediction(command, request.run)
    (first, _) = json.loads((folder / "predictions.json").read_text())["predictions"]
    assert set(first["prediction"]) == {"score", "residual", "discrimination", "reconstruction", "heat"}
    assert Image.open(folder / "a.png").size == (3 * 224, 224 + 28)
