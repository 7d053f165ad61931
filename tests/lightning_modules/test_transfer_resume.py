"""An interrupted run of transfer learning or fine-tuning on small photographs ends as if it had not been."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from experiment import training
from experiment.checkpoints import load_checkpoint
from experiment.failures import RunInterrupted
from tests.conftest import MakeRequest
from tests.datamodules.image_folders import ANTS_BEES, make_images
from tests.interruptions import build_interrupted_at

SMALL = (
    "data=image_folder",
    "data.image_size=64",
    "data.num_workers=0",
    "data.batch_size=2",
    "model.weights=null",
    "trainer.max_epochs=3",
)


@pytest.mark.parametrize(
    "overrides",
    [
        # Dropout before the head, features remembered.
        ("experiment=squeezenet_ants_bees_transfer",),
        # Augmentation, and a backbone that begins in the second epoch.
        ("experiment=squeezenet_ants_bees_finetune", "model.unfreeze_epochs.backbone=1"),
    ],
)
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    overrides: tuple[str, ...], step: int, make_request: MakeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"data.folder={make_images(tmp_path / 'photos', ANTS_BEES, size=(72, 72))}"
    experiment = overrides[0].removeprefix("experiment=")
    whole = make_request(*SMALL, folder, *overrides[1:], experiment=experiment)
    training.run_training(whole)
    broken = make_request(*SMALL, folder, *overrides[1:], experiment=experiment)
    with monkeypatch.context() as patched:
        patched.setattr(training, "_build", build_interrupted_at(step))
        with pytest.raises(RunInterrupted):
            training.run_training(broken)
    training.run_training(make_request(experiment=experiment, resumed=broken.run))
    expected, found = (load_checkpoint(request.run.checkpoints / "last.ckpt") for request in (whole, broken))
    assert found["global_step"] == expected["global_step"] == 12
    for name, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][name], value), name
    assert broken.run.metric_rows() == whole.run.metric_rows()
    assert whole.run.record()["data_contents"]["train"] == {"ants": 5, "bees": 3}
    with Image.open(next(whole.run.path.glob("pictures/test-confusion_matrix/*/0.png"))) as picture:
        assert picture.width == picture.height
