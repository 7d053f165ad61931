"""Your own normal and anomalous images, in MVTec AD's folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.anomaly_folder import AnomalyFolderDataModule
from datamodules.anomaly_listing import anomaly_kinds_in
from datamodules.batches import VOID
from tests.conftest import compose
from tests.datamodules.image_folders import make_images
from tests.test_command_line import run

COUNTS = {"train/good": 8, "test/good": 4, "test/scratch": 3, "test/dent": 2}
# (height, width), of other proportions than what is shown.
SIZE = (18, 24)


def _parts(folder: Path) -> Path:
    """Images of random pixels, and of each scratch the upper left ninth as its mask."""
    make_images(folder, COUNTS, size=SIZE[::-1])
    masks = folder / "ground_truth" / "scratch"
    masks.mkdir(parents=True)
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[: SIZE[0] // 3, : SIZE[1] // 3] = 255
    for index in range(COUNTS["test/scratch"]):
        Image.fromarray(mask).save(masks / f"{index}_mask.png")
    return folder


def _data(folder: Path, **changes: Any) -> AnomalyFolderDataModule:
    settings: dict[str, Any] = {
        "folder": str(folder),
        "kinds": ["good", "dent", "scratch"],
        "num_classes": 3,
        "in_channels": 3,
        "image_size": 12,
        "degrees": 0.0,
        "translate": 0.0,
        "scale": 0.0,
        "mean": 0.5,
        "std": 0.5,
        "batch_size": 4,
        "seed": 1,
    }
    data = AnomalyFolderDataModule(**{**settings, **changes})
    data.setup("fit")
    return data


def test_training_shows_the_good_ones_of_train_only(tmp_path: Path) -> None:
    data = _data(_parts(tmp_path))
    shown = torch.cat([batch.image for batch in data.train_dataloader()])
    for batch in data.train_dataloader():
        assert not batch.is_anomalous.any()
        assert not batch.defect.any()
        assert not batch.kind.any()
    expected = torch.stack([data.shown(path) for path in sorted((tmp_path / "train/good").iterdir())])
    assert len(shown) == 8
    assert torch.cdist(shown.flatten(start_dim=1), expected.flatten(start_dim=1)).amin(dim=1).amax() < 1e-4


@pytest.mark.parametrize("in_channels", [1, 3])
def test_an_image_is_shown_whole_and_resized_as_pillow_does(tmp_path: Path, in_channels: int) -> None:
    file = _parts(tmp_path) / "test/dent/1.png"
    with Image.open(file) as image:
        resized = image.convert("L" if in_channels == 1 else "RGB").resize((12, 12), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(resized).reshape(12, 12, in_channels)).permute(2, 0, 1) / 127.5 - 1
    data = _data(tmp_path, in_channels=in_channels)
    # Two roundings of one value of 255.
    torch.testing.assert_close(data.shown(file), expected, rtol=0, atol=2 / 127.5)
    (batch,) = data.files_dataloader([file])
    assert torch.equal(batch.image[0], data.shown(file))


def test_evaluation_shows_all_kinds_in_turn_and_where_the_masks_are(tmp_path: Path) -> None:
    batches = list(_data(_parts(tmp_path)).test_dataloader())
    kind = torch.cat([batch.kind for batch in batches])
    defect = torch.cat([batch.defect for batch in batches])
    assert kind.tolist() == [0, 1, 2, 0, 1, 2, 0, 2, 0]
    assert torch.equal(torch.cat([batch.is_anomalous for batch in batches]), kind > 0)
    corner = torch.zeros(12, 12, dtype=torch.long)
    corner[:4, :4] = 1
    expected = {0: torch.zeros_like(corner), 1: torch.full_like(corner, VOID), 2: corner}
    for index, where in zip(kind.tolist(), defect, strict=True):
        assert torch.equal(where, expected[index])


def test_a_defect_of_one_pixel_stays(tmp_path: Path) -> None:
    folder = _parts(tmp_path)
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[17, 0] = 255
    Image.fromarray(mask).save(folder / "ground_truth/scratch/0_mask.png")
    batches = list(_data(folder, image_size=4).test_dataloader())
    defect = torch.cat([batch.defect for batch in batches])[torch.cat([batch.kind for batch in batches]) == 2]
    assert defect[0].nonzero().tolist() == [[3, 0]]


def test_the_distance_is_that_to_the_nearest_normal_image(tmp_path: Path) -> None:
    data = _data(_parts(tmp_path))
    batch = next(iter(data.test_dataloader()))
    normal = [data.shown(path) for path in (tmp_path / "train/good").iterdir()]
    for row in range(3):
        nearest = min(float((batch.image[row] - other).norm()) for other in normal)
        assert float(batch.distance[row]) == pytest.approx(nearest, rel=1e-3)


def test_validation_has_a_folder_of_its_own_or_judges_the_tests(tmp_path: Path) -> None:
    folder = _parts(tmp_path)
    assert sum(len(batch.kind) for batch in _data(folder).val_dataloader()) == 9
    make_images(folder, {"val/good": 2, "val/dent": 1})
    assert torch.cat([batch.kind for batch in _data(folder).val_dataloader()]).tolist() == [0, 1, 0]


def test_the_fingerprint_changes_with_a_mask(tmp_path: Path) -> None:
    folder = _parts(tmp_path)
    before = _data(folder).fingerprint()
    assert _data(folder).fingerprint() == before
    (folder / "ground_truth/scratch/0_mask.png").unlink()
    assert _data(folder).fingerprint() != before


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, r"is no folder; give one that holds train/good, test/good and test/<defect>"),
        ({"test/good": 1, "test/dent": 1}, "no images in train/good"),
        ({"train/good": 1}, "test has no folders of images; it takes normal images in test/good"),
        ({"train/good": 1, "test/good": 1}, "test has good; it takes normal images in test/good and others"),
        ({"train/good": 1, "test/dent": 1}, "test has dent; it takes normal images in test/good and others"),
    ],
)
def test_a_folder_without_something_to_learn_or_find_is_refused(
    tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    make_images(tmp_path / "parts", counts) if counts else None
    with pytest.raises(ValueError, match=message):
        anomaly_kinds_in(tmp_path / "parts")


def test_a_damaged_image_and_an_empty_mask_are_named(tmp_path: Path) -> None:
    folder = _parts(tmp_path)
    Image.new("L", SIZE[::-1]).save(folder / "ground_truth/scratch/1_mask.png")
    with pytest.raises(ValueError, match=r"1_mask.png marks nothing in \S+scratch/1.png; repair the mask or remove it"):
        _data(folder).test_dataloader()
    (folder / "train/good/0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"train/good/0.png: it cannot be read as an image .*; replace it or leave"):
        _data(folder)


@pytest.mark.parametrize("experiment", ["anogan_digits", "efficient_gan_digits"])
def test_the_detectors_are_configured_by_the_folder(tmp_path: Path, experiment: str) -> None:
    config = compose(f"experiment={experiment}", "data=anomaly_folder", f"data.folder={_parts(tmp_path)}")
    assert (config.model.num_classes, config.model.in_channels, config.model.image_size) == (3, 3, 64)


def test_a_detector_learns_a_folder_and_names_its_defects(tmp_path: Path) -> None:
    folder = _parts(tmp_path)
    done = run(
        *("train.py", "experiment=anogan_digits", "data=anomaly_folder", f"data.folder={folder}"),
        *("data.image_size=16", "data.batch_size=4", "trainer.max_epochs=1", "model.width=4", "logger=none"),
    )
    assert done.returncode == 0, done.stderr
    for name in ("test/auroc", "test/auroc_dent", "test/auroc_scratch", "test/pixel_auroc"):
        assert name in done.stdout.replace("│", " ").split()
