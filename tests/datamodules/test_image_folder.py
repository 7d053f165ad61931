"""Images of class folders: which are found, what a network sees of them, and what is refused."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from datamodules.ants_bees import AntsBeesDataModule
from datamodules.class_folders import class_names_in, files_by_split
from datamodules.image_files import read_image
from datamodules.image_folder import ClassesInBalance, ImageFolderDataModule
from datamodules.image_views import evaluation_view, training_view
from datamodules.loading import Draw
from datamodules.randomness import torchs_randomness
from datamodules.unreadable import UnreadableSample
from tests.datamodules.image_folders import ANTS_BEES, make_images, settings

NORMAL = {"mean": [0.0] * 3, "std": [1.0] * 3}


def _set_up(folder: Path, **changes) -> ImageFolderDataModule:
    data = ImageFolderDataModule(**settings(folder, **changes))
    data.setup("fit")
    return data


def test_classes_and_files_are_torchvisions(tmp_path: Path) -> None:
    make_images(tmp_path, {**ANTS_BEES, "train/ants/deeper": 2})
    (tmp_path / "train" / "ants" / "imageNotFound.gif").write_bytes(b"GIF89a")
    (tmp_path / "train" / ".DS_Store").write_bytes(b"")
    theirs = torchvision.datasets.ImageFolder(tmp_path / "train")
    assert class_names_in(tmp_path) == theirs.classes
    ours = files_by_split(tmp_path, theirs.classes, val_fraction=0.1, test_fraction=0.1)["train"]
    assert sorted((str(path), label) for path, label in ours) == sorted(theirs.samples)


def test_a_set_without_test_images_is_tested_on_its_validation_images(tmp_path: Path) -> None:
    data = _set_up(make_images(tmp_path, ANTS_BEES))
    assert data.contents() == {
        "train": {"ants": 5, "bees": 3},
        "val": {"ants": 2, "bees": 2},
        "test": {"ants": 2, "bees": 2},
    }


def test_images_without_splits_are_split_class_by_class_and_none_is_in_two(tmp_path: Path) -> None:
    data = _set_up(make_images(tmp_path, {"ants": 20, "bees": 10}))
    assert data.contents() == {
        "train": {"ants": 13, "bees": 6},
        "val": {"ants": 3, "bees": 2},
        "test": {"ants": 4, "bees": 2},
    }
    files = [file.path for split in data._listed().values() for file in split]
    assert len(set(files)) == len(files) == 30


def test_which_images_are_held_out_does_not_depend_on_the_order_of_their_making(tmp_path: Path) -> None:
    first = _set_up(make_images(tmp_path / "a", {"ants": 20, "bees": 10}))
    second = _set_up(make_images(tmp_path / "b", {"bees": 10, "ants": 20}))
    names = [
        {split: [(file.path.name, file.label) for file in files] for split, files in data._listed().items()}
        for data in (first, second)
    ]
    assert names[0] == names[1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert class_names_in(make_images(tmp_path, {"car": 3, "train": 3})) == ["car", "train"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"ants": 3}, "has only the class ants; it takes at least two folders"),
        ({}, "has no folders of classes; it takes at least two folders"),
        ({"ants": 3, "bees": 0}, r"bees has no images \(\.jpg, "),
        ({"train/ants": 2, "train/bees": 2, "val/ants": 2, "val/wasps": 2}, "different classes: not all have bees, wa"),
        ({"train/ants": 2, "train/bees": 2, "val/ants": 2}, "val has only the class ants"),
    ],
)
def test_a_folder_that_makes_no_classification_is_refused(tmp_path: Path, counts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_names_in(make_images(tmp_path, counts))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is no folder; give one that holds a folder of images for each class"):
        class_names_in(tmp_path / "nowhere")


def test_too_few_images_to_hold_some_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bees has too few images to hold 1 out of 1; add some"):
        _set_up(make_images(tmp_path, {"ants": 9, "bees": 2}))


def test_a_folder_whose_classes_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path, {**ANTS_BEES, "train/wasps": 1, "val/wasps": 1})
    with pytest.raises(ValueError, match="has the classes ants, bees, wasps, but the configuration has ants, bees;"):
        _set_up(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 3}, "data.num_classes=3, but data.class_names has 2"),
        ({"in_channels": 1}, "an image has 1 channel or 3, and a mean and a deviation for each"),
        ({"batch_size": 0}, "data.batch_size=0: a batch has at least one sample"),
        ({"min_crop_area": 0.0}, "data.min_crop_area=0.0 is a fraction of an image"),
    ],
)
def test_a_value_out_of_range_is_refused(tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolderDataModule(**settings(tmp_path, **changes))


@pytest.mark.parametrize("size", [(320, 240), (240, 321), (64, 48)])
def test_evaluation_shows_what_torchvisions_preset_shows(size: tuple[int, int]) -> None:
    gradient = np.add.outer(np.linspace(0, 200, size[1]), np.linspace(0, 55, size[0])).astype(np.uint8)
    image = torch.from_numpy(np.stack([gradient, 255 - gradient, gradient]))
    ours = evaluation_view(image_size=224, center_crop_fraction=0.875, **NORMAL)(image)
    preset = torchvision.transforms._presets.ImageClassification(crop_size=224, resize_size=256, **NORMAL)
    # Cropping before resizing moves the picture by less than a pixel, over which this gradient changes by 0.005.
    torch.testing.assert_close(ours, preset(image), atol=0.02, rtol=0)


def test_a_training_view_without_augmentation_is_the_evaluations() -> None:
    image = torch.randint(0, 256, (3, 30, 40), dtype=torch.uint8)
    plain = {"image_size": 16, "center_crop_fraction": 0.875, **NORMAL}
    trained = training_view(**plain, min_crop_area=1.0, flip_probability=0.0, color_jitter=0.0)(image)
    assert torch.equal(trained, evaluation_view(**plain)(image))


def test_a_panorama_does_not_fill_the_memory() -> None:
    image = torch.zeros(3, 2, 1_000_000, dtype=torch.uint8)
    assert evaluation_view(image_size=224, center_crop_fraction=1.0, **NORMAL)(image).shape == (3, 224, 224)


def _epoch(data: ImageFolderDataModule) -> list[torch.Tensor]:
    return [batch.image for batch in data.train_dataloader()]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_augmentation_depends_on_seed_epoch_and_sample_alone(tmp_path: Path, num_workers: int) -> None:
    make_images(tmp_path, ANTS_BEES)
    expected = _epoch(_set_up(tmp_path))
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - what must have no influence
    found = _epoch(_set_up(tmp_path, num_workers=num_workers))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    other = _epoch(_set_up(tmp_path, seed=2))
    assert not any(torch.equal(a, b) for a, b in zip(expected, other, strict=True))


def test_reading_leaves_torchs_generator_where_it_was(tmp_path: Path) -> None:
    data = _set_up(make_images(tmp_path, ANTS_BEES))
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    data.train_dataloader().dataset.read(Draw(0, 0))
    assert torch.equal(torch.rand(4), expected)


def test_an_error_leaves_torchs_generator_where_it_was() -> None:
    state = torch.get_rng_state()

    @torchs_randomness(5)
    def fails() -> None:
        torch.rand(1)
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert torch.equal(torch.get_rng_state(), state)


def test_in_balance_every_class_is_shown_equally_often_and_every_file_in_turn(tmp_path: Path) -> None:
    data = _set_up(make_images(tmp_path, ANTS_BEES), balance_classes=True)
    files = ClassesInBalance(data._listed()["train"])
    shown = [[files(Draw(index, epoch)) for index in range(len(files))] for epoch in range(3)]
    for epoch in shown:
        assert [sum(file.label == label for file in epoch) for label in (0, 1)] == [5, 5]
    bees = [file for epoch in shown for file in epoch if file.label == 1]
    assert sorted(bees.count(file) for file in set(bees)) == [5, 5, 5]


def _damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    match how:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no image")
        case "cut off":
            path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("how", ["empty", "text", "cut off"])
def test_a_damaged_image_is_named_or_skipped(tmp_path: Path, how: str) -> None:
    make_images(tmp_path, ANTS_BEES)
    _damage(tmp_path / "train" / "bees" / "1.png", how)
    with pytest.raises(UnreadableSample, match=r"train/bees/1\.png: it cannot be read as an image"):
        _epoch(_set_up(tmp_path))
    assert sum(len(image) for image in _epoch(_set_up(tmp_path, on_error="skip"))) == 7


def test_an_image_that_unfolds_to_fill_the_memory_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 1_000_000
    with pytest.raises(UnreadableSample, match=r"bomb\.png: it has more than 89,478,485 pixels"):
        read_image(tmp_path / "bomb.png", in_channels=3)


def test_values_of_more_than_eight_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableSample, match="its values have more than 8 bits"):
        read_image(tmp_path / "deep.png", in_channels=3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_kind_of_image_becomes_three_colours_or_one_grey(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.jpg" if mode in ("CMYK", "YCbCr") else "image.png")
    Image.new(mode, (6, 4)).save(path)
    assert [read_image(path, in_channels=channels).shape for channels in (1, 3)] == [(1, 4, 6), (3, 4, 6)]


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "upright.jpg", exif=exif)
    assert read_image(tmp_path / "upright.jpg", in_channels=3).shape == (3, 6, 4)


def test_a_users_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    data = _set_up(make_images(tmp_path, ANTS_BEES))
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.txt: it cannot be read as an image .*; replace it or leave it out"):
        list(data.files_dataloader([tmp_path / "notes.txt"]))


def test_the_part_seen_of_a_users_file_is_the_middle_square(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200)).save(tmp_path / "wide.png")
    data = ImageFolderDataModule(**settings(tmp_path, center_crop_fraction=0.5))
    (batch,) = data.files_dataloader([tmp_path / "wide.png"])
    # 100 of 200 pixels high, 100 of 400 wide.
    torch.testing.assert_close(batch.seen_xyxy, torch.tensor([[0.375, 0.25, 0.625, 0.75]]))


def test_the_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    before = _set_up(make_images(tmp_path, ANTS_BEES)).fingerprint()
    assert _set_up(tmp_path).fingerprint() == before
    Image.new("RGB", (50, 50)).save(tmp_path / "train" / "bees" / "1.png")
    assert _set_up(tmp_path).fingerprint() != before


def test_without_a_network_the_place_for_the_files_is_named(tmp_path: Path, monkeypatch) -> None:
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    data = AntsBeesDataModule(**settings(tmp_path / "hymenoptera_data"))
    with pytest.raises(FileNotFoundError, match=r"no download \(no route to host\); unpack https://\S+\.zip there, or"):
        data.prepare_data()


def test_a_download_is_unpacked_where_it_is_looked_for(tmp_path: Path, monkeypatch) -> None:
    make_images(tmp_path / "origin" / "hymenoptera_data", ANTS_BEES)

    def download(url: str, file: str, hash_prefix: str, **kwargs) -> None:
        assert len(hash_prefix) == 64
        shutil.make_archive(file.removesuffix(".zip"), "zip", tmp_path / "origin")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    data = AntsBeesDataModule(**settings(tmp_path / "data" / "hymenoptera" / "hymenoptera_data"))
    data.prepare_data()
    data.setup("fit")
    assert data.contents()["train"] == {"ants": 5, "bees": 3}


@pytest.mark.real_data
def test_the_genuine_set_has_244_training_and_153_validation_images(real_data: Path) -> None:
    data = AntsBeesDataModule(**settings(real_data / "hymenoptera" / "hymenoptera_data"))
    data.setup("fit")
    assert data.contents()["train"] == {"ants": 123, "bees": 121}
    assert data.contents()["val"] == {"ants": 70, "bees": 83}
