"""Normal images to train on, anomalies to find."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.batches import VOID
from datamodules.one_class import OneClassDataModule, stain

IMAGES: dict[str, Any] = {
    "_target_": "datamodules.digits.DigitsDataModule",
    "num_classes": 10,
    "in_channels": 1,
    "image_size": 16,
    "batch_size": 32,
    "num_workers": 0,
    "seed": 1,
    "degrees": 0.0,
    "translate": 0.0,
    "scale": 0.0,
    "mean": 0.5,
    "std": 0.5,
}


def _data(**changes: Any) -> OneClassDataModule:
    settings: dict[str, Any] = {
        "images": IMAGES,
        "normal_classes": [7, 8],
        "images_per_class": 10,
        "num_stained": 6,
        "num_classes": 10,
        "batch_size": 32,
        "in_channels": 1,
        "image_size": 16,
    }
    data = OneClassDataModule(**{**settings, **changes})
    data.setup("fit")
    return data


def test_training_shows_normal_images_only() -> None:
    for batch in _data().train_dataloader():
        assert set(batch.kind.tolist()) == {7, 8}
        assert not batch.is_anomalous.any()
        assert not batch.defect.any()


def test_evaluation_shows_as_many_of_every_class_and_normal_ones_with_stains() -> None:
    data = _data()
    batches = list(data.test_dataloader())
    kind = torch.cat([batch.kind for batch in batches])
    is_anomalous = torch.cat([batch.is_anomalous for batch in batches])
    assert torch.bincount(kind).tolist() == [10] * 10 + [6]
    assert sorted(set(kind[~is_anomalous].tolist())) == [7, 8]
    assert data.class_names[10] == "stained"
    defect = torch.cat([batch.defect for batch in batches])
    assert (defect[(kind != 7) & (kind != 8) & (kind != 10)] == VOID).all()
    assert set(defect[kind == 10].unique().tolist()) == {0, 1}


def test_the_first_images_of_an_evaluation_are_one_of_each_kind() -> None:
    assert next(iter(_data().test_dataloader())).kind[:11].tolist() == list(range(11))


def test_the_distance_is_that_to_the_nearest_training_image() -> None:
    data = _data()
    batch = next(iter(data.test_dataloader()))
    normal = torch.cat([shown.image for shown in _whole_training_split(data)])
    for row in range(4):
        nearest = min(float((batch.image[row] - other).norm()) for other in normal)
        assert float(batch.distance[row]) == pytest.approx(nearest, rel=1e-3)


def _whole_training_split(data: OneClassDataModule) -> list[Any]:
    loader = data.images.evaluation_dataloader("train")
    return [batch._replace(image=batch.image[(batch.label == 7) | (batch.label == 8)]) for batch in loader]


def test_a_stain_inverts_a_square_and_nothing_else() -> None:
    image = torch.randint(256, (5, 1, 20, 20), dtype=torch.uint8)
    stained, where = stain(image)
    for before, after, place in zip(image, stained, where, strict=True):
        rows, columns = place.nonzero(as_tuple=True)
        height, width = (int(axis.max() - axis.min()) + 1 for axis in (rows, columns))
        assert height == width == round(int(place.sum()) ** 0.5)
        assert 4 <= height <= 7
        assert torch.equal(after[0][place == 1], 255 - before[0][place == 1])
        assert torch.equal(after[0][place == 0], before[0][place == 0])
    assert torch.equal(stain(image)[0], stained)


def test_the_fingerprint_changes_with_what_is_normal() -> None:
    assert _data().fingerprint() == _data().fingerprint() != _data(normal_classes=[7]).fingerprint()


@pytest.mark.parametrize("normal_classes", [[], [10], list(range(10))])
def test_normal_classes_are_some_of_the_sets(normal_classes: list[int]) -> None:
    with pytest.raises(ValueError, match="name some, not all, of the classes 0 to 9"):
        _data(normal_classes=normal_classes)


def test_a_set_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of datamodules"):
        _data(images={"_target_": "datamodules.image_folder.ImageFolderDataModule"})


def test_files_are_read_as_the_set_reads_them(tmp_path: Path) -> None:
    data = _data()
    files = data.sample_files("val", count=3, folder=tmp_path)
    (batch,) = list(data.files_dataloader(files))
    assert batch.image.shape == (3, 1, 16, 16)
