"""COCO's people: what a batch holds, what is refused, and the genuine files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from datamodules.batches import KeypointBatch
from datamodules.coco_annotations import ignored_pixels, people_of
from datamodules.unreadable import UnreadableSample
from tests.datamodules.coco_files import data_of, keypoints, person, write_coco

# pycocotools does not know NumPy 2's way of asking for a copy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NOBODY = {"keypoints": [0] * 51, "num_keypoints": 0}


def _whole(folder: Path, **changes: Any) -> KeypointBatch:
    """The first training images as evaluation shows them."""
    return next(iter(data_of(folder, **changes).evaluation_dataloader("train")))


def _all_batches(folder: Path, **changes: Any) -> list[KeypointBatch]:
    return list(data_of(folder, **changes).train_dataloader())


def test_a_batch_has_the_annotated_numbers_at_the_squares_scale(tmp_path: Path) -> None:
    batch = _whole(write_coco(tmp_path), evaluation_size=128)
    assert batch.image.shape == (2, 3, 128, 128)
    expected = np.array(keypoints()).reshape(17, 3)
    # Twice as large, and a pixel's middle is half a pixel from its corner.
    np.testing.assert_allclose(batch.keypoints[0, 0, :, :2], 2 * expected[:, :2] + 0.5)
    assert batch.box_xyxy[0, 0].tolist() == [32, 12, 80, 68]
    assert batch.area[0, 0] == 1600
    assert batch.image_id.tolist() == [1, 2]


def test_fewer_people_than_the_others_end_in_rows_of_nobody(tmp_path: Path) -> None:
    folder = write_coco(tmp_path)
    file = folder / "coco" / "annotations" / "person_keypoints_train2017.json"
    content = json.loads(file.read_text())
    content["annotations"].append(person(2, id=7))
    file.write_text(json.dumps(content))
    batch = _whole(folder)
    assert batch.area.bool().tolist() == [[True, False], [True, True]]
    assert batch.keypoints[0, 1].abs().sum() == 0


@pytest.mark.parametrize("changes", [NOBODY, {"iscrowd": 1}])
@pytest.mark.parametrize("outline", ["polygon", "counts", "compressed", "none"])
def test_who_has_no_keypoints_and_crowds_are_ignored(tmp_path: Path, changes: dict[str, Any], outline: str) -> None:
    inside = np.zeros((48, 64), dtype=np.uint8, order="F")
    inside[6:34, 16:40] = 1
    compressed = coco_mask.encode(inside)
    runs = np.diff(np.flatnonzero(np.diff(inside.ravel(order="F"), prepend=0, append=0)), prepend=0).tolist()
    outlines: dict[str, Any] = {
        "polygon": [[16, 6, 40, 6, 40, 34, 16, 34]],
        "counts": {"size": [48, 64], "counts": [*runs, 48 * 64 - sum(runs)]},
        "compressed": {"size": [48, 64], "counts": compressed["counts"].decode()},
        "none": None,
    }
    folder = write_coco(tmp_path, **changes, segmentation=outlines[outline])
    first = data_of(folder)._images("train2017")[0]
    assert (ignored_pixels(first, people_of(first)) == inside.astype(bool)).all()


def test_pixels_of_someone_labelled_are_not_ignored(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, iscrowd=1)
    image = data_of(folder)._images("train2017")[0]
    image.records.append(person(1, segmentation=[[16, 6, 28, 6, 28, 34, 16, 34]]))
    ignored = ignored_pixels(image, people_of(image))
    assert ignored[6:34, 28:40].all()
    assert ignored.sum() == 28 * 12


def test_training_shows_images_with_labelled_people_only_evaluation_all(tmp_path: Path) -> None:
    splits = data_of(write_coco(tmp_path, **NOBODY), val_images=2).read_splits()
    assert [image.image_id for image in splits.train] == [2, 3, 4]
    assert [image.image_id for image in splits.val] == [5, 6]
    assert [image.image_id for image in splits.test] == [1001, 1002]


def test_overfitting_shows_the_same_images_in_all_splits(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, **NOBODY)
    splits = data_of(folder, overfit_image_ids=[4, 2]).read_splits()
    assert [[image.image_id for image in split] for split in splits] == [[2, 4]] * 3
    with pytest.raises(ValueError, match="image 1 is not in train2017, or nobody in it has a labelled keypoint; leave"):
        data_of(folder, overfit_image_ids=[1, 2])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_augmentation_is_a_function_of_seed_epoch_and_sample(tmp_path: Path, num_workers: int) -> None:
    folder = write_coco(tmp_path)
    first = _all_batches(folder)
    again = _all_batches(folder, num_workers=num_workers)
    for ours, theirs in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    other = _all_batches(folder, seed=2)
    assert not all(torch.equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_a_users_files_come_in_order_with_their_sizes(tmp_path: Path) -> None:
    data = data_of(write_coco(tmp_path))
    Image.new("L", (30, 90)).save(tmp_path / "grey.png")
    Image.new("RGBA", (50, 20)).save(tmp_path / "clear.png")
    (batch,) = data.files_dataloader([tmp_path / "grey.png", tmp_path / "clear.png"])
    assert batch.file_height_width.tolist() == [[90, 30], [20, 50]]
    assert batch.image.shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keypoints": keypoints(16)}, "48 numbers for keypoints, not the 51 of 17"),
        ({"keypoints": None}, "it has no 'keypoints'"),
        ({"keypoints": [1, 2, 3] * 17}, r"a keypoint is not \(x, y, visibility 0, 1 or 2\)"),
        ({"area": 0}, "a person of area 0; it is what OKS measures distances by"),
        ({"area": None}, "it has no 'area'"),
        ({"bbox": [1, 2, 0, 5]}, r"its box \[1, 2, 0, 5\] is not"),
        ({"keypoints": [0] * 51}, "num_keypoints promises labelled keypoints, but nobody has any"),
    ],
)
def test_a_record_that_makes_no_sense_is_named_with_its_file(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    folder = write_coco(tmp_path, **changes)
    with pytest.raises(UnreadableSample, match=rf"person_keypoints_train2017.json, (annotation 101|image 1): {reason}"):
        _all_batches(folder)
    assert sum(len(batch.image) for batch in _all_batches(folder, on_error="skip")) == 3


def test_an_outline_of_another_size_than_the_image_is_named(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, iscrowd=1, segmentation={"size": [4, 4], "counts": [8, 8]})
    image = data_of(folder)._images("train2017")[0]
    with pytest.raises(UnreadableSample, match="image 1: an outline covers 4 x 4 pixels, the image has 64 x 48"):
        ignored_pixels(image, people_of(image))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda file: file.write_bytes(b"no image"), "it cannot be read as an image"),
        (lambda file: file.write_bytes(file.read_bytes()[:900]), "it cannot be read as an image"),
        (lambda file: file.write_bytes(b""), "it cannot be read as an image"),
        (lambda file: file.unlink(), "it cannot be read as an image"),
        (lambda file: Image.new("RGB", (10, 20)).save(file), "10 x 20 pixels, but 64 x 48 are annotated"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(tmp_path: Path, spoil: Any, reason: str) -> None:
    folder = write_coco(tmp_path)
    spoil(folder / "coco" / "train2017" / "000000000001.jpg")
    with pytest.raises(UnreadableSample, match=rf"000000000001.jpg: {reason}"):
        _all_batches(folder)
    assert sum(len(batch.image) for batch in _all_batches(folder, on_error="skip")) == 3


def test_an_annotation_of_an_image_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, image_id=77)
    with pytest.raises(ValueError, match="annotation 101 belongs to image 77, which is not listed; remove the"):
        data_of(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not JSON", "person_keypoints_train2017.json is not JSON .*; fetch it again"),
        ('{"images": []}', "has no 'annotations'; it must be an annotation file in COCO's format"),
        ('{"images": [{"id": 1}], "annotations": []}', "image 1 has no 'file_name'; fetch the file again"),
        ('{"images": [], "annotations": []}', "the train split has no image to learn from"),
    ],
)
def test_a_file_that_is_no_annotation_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    folder = write_coco(tmp_path)
    (folder / "coco" / "annotations" / "person_keypoints_train2017.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        data_of(folder, val_images=0)


def test_missing_annotations_are_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="put COCO's file there, or set FIRSTHAND_DATA to the folder of coco/"):
        data_of(tmp_path)


def test_an_augmentation_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.augmentation.rotation is unknown; choose from person_size, zoom"):
        data_of(write_coco(tmp_path), augmentation={"rotation": 40})


def test_the_fingerprint_changes_with_an_annotation_and_with_an_image(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "a")
    before = data_of(folder).fingerprint()
    assert data_of(write_coco(tmp_path / "b")).fingerprint() == before
    assert data_of(write_coco(tmp_path / "c", area=401.0)).fingerprint() != before
    Image.new("RGB", (64, 48)).save(folder / "coco" / "train2017" / "000000000002.jpg")
    assert data_of(folder).fingerprint() != before


@pytest.mark.real_data
def test_the_genuine_sample_has_its_154_people_in_60_images_and_pycocotools_outlines(real_data: Path) -> None:
    data = data_of(real_data, val_images=10, evaluation_size=368)
    people = labelled = 0
    for split in ("train2017", "val2017"):
        reference = COCO(data.folder / "annotations" / f"person_keypoints_{split}.json")
        for image in data._images(split):
            found = [person for person in people_of(image) if person.is_labelled]
            people += len(found)
            labelled += bool(found)
            ignored = np.zeros((image.height, image.width), dtype=bool)
            for record in image.records:
                if record["num_keypoints"] == 0 or record["iscrowd"]:
                    ignored |= reference.annToMask(record).astype(bool)
            for record in image.records:
                if record["num_keypoints"] > 0 and not record["iscrowd"]:
                    ignored &= ~reference.annToMask(record).astype(bool)
            assert (ignored_pixels(image, people_of(image)) == ignored).all()
    assert (people, labelled) == (154, 60)
    assert next(iter(data.train_dataloader())).image.shape == (2, 3, 64, 64)
