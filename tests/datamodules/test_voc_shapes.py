"""The made-up set: exact, the same for the same settings, and read by every line that reads the genuine one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision.datasets import VOCDetection

from datamodules.batches import VOID
from datamodules.voc import VOCDetectionDataModule, VOCSegmentationDataModule
from datamodules.voc_shapes import SHAPE_NAMES, VOCShapes, class_mask, draw_shapes, visible_masks, voc_palette
from tests.conftest import compose

SETTINGS: dict[str, Any] = {
    "num_train": 12, "num_val": 3, "num_test": 3, "image_size": 64, "max_objects": 4, "seed": 0
}  # fmt: skip


def data_module(kind: str, folder: Path, **changes: Any) -> Any:
    config: Any = OmegaConf.to_container(compose("~experiment", f"data=voc_shapes_{kind}").data, resolve=True)
    settings = {key: value for key, value in config.items() if key != "_target_"}
    settings |= {"devkit_dir": str(folder), "shapes": SETTINGS, "image_size": 64, "batch_size": 4, "seed": 1} | changes
    module = {"detection": VOCDetectionDataModule, "segmentation": VOCSegmentationDataModule}[kind](**settings)
    module.prepare_data()
    module.setup("fit")
    return module


def test_the_palette_is_vocs():
    # From the development kit: background, aeroplane, bicycle, bird, boat, ..., tvmonitor, void.
    palette = np.array(voc_palette()).reshape(256, 3)
    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[20].tolist() == [0, 64, 128]
    assert palette[255].tolist() == [224, 224, 192]


@pytest.mark.parametrize("seed", range(5))
def test_of_every_shape_enough_is_visible_and_the_mask_shows_it(seed):
    shapes = draw_shapes(np.random.default_rng(seed), side=96, max_objects=4)
    mask = class_mask(shapes, side=96)
    visible = visible_masks(shapes)
    assert sum(part.astype(int) for part in visible).max() == 1
    for shape, part in zip(shapes, visible, strict=True):
        assert part.sum() >= 0.3 * shape.mask.sum()
        assert set(np.unique(mask[part])) <= {shape.label + 1, VOID}
        assert (mask[part] == shape.label + 1).any()
    assert (mask[~np.any(visible, axis=0)] == 0).all()


def test_a_box_ends_where_its_shapes_void_rim_ends(tmp_path):
    data = data_module("detection", tmp_path, shapes={**SETTINGS, "max_objects": 1})
    images = data.splits["train"]
    for index, (folder, name) in enumerate(images.places):
        mask = np.array(Image.open(folder / "SegmentationClass" / f"{name}.png"))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        expected = [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
        assert images.read(index)["boxes_xyxy"].tolist() == expected


def test_torchvision_reads_the_set_as_voc(tmp_path):
    shapes = VOCShapes(**SETTINGS)
    shapes.write(tmp_path)
    year = shapes.devkit(tmp_path) / "VOCshapes"
    (tmp_path / "VOCdevkit").mkdir()
    year.rename(tmp_path / "VOCdevkit/VOC2012")
    theirs = VOCDetection(str(tmp_path), year="2012", image_set="train")
    assert len(theirs) == 12
    image, target = theirs[0]
    assert image.size == (64, 64)
    assert target["annotation"]["object"][0]["name"] in SHAPE_NAMES


def test_the_same_settings_give_the_same_files_and_others_another_folder(tmp_path):
    shapes = VOCShapes(**SETTINGS)
    shapes.write(tmp_path / "a")
    shapes.write(tmp_path / "b")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 18 * 3 + 6
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    assert VOCShapes(**{**SETTINGS, "seed": 1}).devkit(tmp_path) != shapes.devkit(tmp_path)


def test_a_set_that_is_there_is_not_written_again(tmp_path):
    shapes = VOCShapes(**SETTINGS)
    shapes.write(tmp_path)
    list_of_names = shapes.devkit(tmp_path) / "VOCshapes/ImageSets/Main/train.txt"
    list_of_names.write_text("changed")
    shapes.write(tmp_path)
    assert list_of_names.read_text() == "changed"


def test_a_set_whose_writing_fails_is_not_there(tmp_path, monkeypatch):
    shapes = VOCShapes(**SETTINGS)
    monkeypatch.setattr("datamodules.voc_shapes.paint", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shapes.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_pictures_is_refused():
    with pytest.raises(ValueError, match=r"asks for \{'train': 0"):
        VOCShapes(**{**SETTINGS, "num_train": 0})


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_batches_do_not_depend_on_the_number_of_workers(tmp_path, kind):
    augmentation = {"photometric": True, "zoom_out": 4.0, "iou_crop": True} if kind == "detection" else {"blur": True}
    alone, helped = (data_module(kind, tmp_path, num_workers=number, **augmentation) for number in (0, 2))
    for ours, theirs in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        for part, other in zip(ours, theirs, strict=True):
            assert all(torch.equal(row, other_row) for row, other_row in zip(part, other, strict=True))


def test_detection_batches_have_a_list_entry_for_each_image(tmp_path):
    data = data_module("detection", tmp_path)
    batch = next(iter(data.train_dataloader()))
    assert batch.image.shape == (4, 3, 64, 64)
    assert len(batch.boxes_xyxy) == len(batch.label) == len(batch.is_difficult) == 4
    assert data.class_names == list(SHAPE_NAMES)


def test_segmentation_batches_have_a_mask_of_the_images_size(tmp_path):
    data = data_module("segmentation", tmp_path)
    batch = next(iter(data.evaluation_dataloader("test")))
    assert batch.image.shape == (3, 3, 64, 64)
    assert batch.mask.shape == (3, 64, 64)
    assert set(batch.mask.unique().tolist()) <= {0, 1, 2, 3, 4, VOID}
    assert data.class_names == ["background", *SHAPE_NAMES]


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_a_users_picture_is_turned_as_its_camera_was_held(tmp_path, kind):
    picture = Image.new("RGB", (50, 20), (255, 0, 0))
    exif = picture.getexif()
    exif[0x0112] = 6  # The camera was held upright.
    picture.save(tmp_path / "photo.jpg", exif=exif)
    data = data_module(kind, tmp_path)
    (batch,) = data.files_dataloader([tmp_path / "photo.jpg"])
    assert batch.file_height_width.tolist() == [[50, 20]]
    assert batch.image.shape == (1, 3, 64, 64)
    is_red = batch.image[0, 0] > 1
    # Squeezed to the square, or beside what fills it up.
    assert is_red.all(dim=0).sum() == {"detection": 64, "segmentation": 26}[kind]


def test_a_users_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "photo.jpg").write_text("no picture")
    data = data_module("detection", tmp_path)
    with pytest.raises(ValueError, match=r"photo\.jpg: it cannot be read as a picture .*; replace it or leave it out"):
        list(data.files_dataloader([tmp_path / "photo.jpg"]))


def test_a_number_of_classes_that_is_not_theirs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.num_classes=5, but there are 4 classes \(disc, square"):
        data_module("detection", tmp_path, num_classes=5)


@pytest.mark.parametrize("kind", ["detection", "segmentation"])
def test_images_to_overfit_are_the_first_to_train_on_in_every_split_and_never_changed(kind, tmp_path):
    options = {"flip": True, **({"zoom_out": 4.0} if kind == "detection" else {"degrees": 10.0})}
    data = data_module(kind, tmp_path, overfit_images=3, batch_size=3, **options)
    all_images = data_module(kind, tmp_path).splits["train"]
    assert {split: images.places for split, images in data.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), all_images.places[:3]
    )
    (trained,) = data.train_dataloader()
    (tested,) = data.test_dataloader()
    order = [int((tested.image == image).flatten(start_dim=1).all(dim=1).nonzero()) for image in trained.image]
    assert sorted(order) == [0, 1, 2]
    trained_targets, tested_targets = (batch[1] for batch in (trained, tested))
    assert all(torch.equal(target, tested_targets[row]) for target, row in zip(trained_targets, order, strict=True))


def test_images_to_overfit_may_lie_in_several_sets(tmp_path):
    data = data_module("detection", tmp_path, overfit_images=14, train_sets=["VOCshapes/train", "VOCshapes/val"])
    names = [name for _, name in data.splits["test"].places]
    assert names[10:] == ["train_00010", "train_00011", "val_00000", "val_00001"]


@pytest.mark.parametrize("number", [0, 13])
def test_more_images_to_overfit_than_there_are_or_none_is_refused(number, tmp_path):
    with pytest.raises(ValueError, match=rf"overfit_images={number}: .* 12 images; take 1 to 12"):
        data_module("segmentation", tmp_path, overfit_images=number)
