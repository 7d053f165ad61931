"""COCO's boxes: what is read, and what is refused with the annotation's number and the reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torchvision.datasets import CocoDetection

from datamodules.coco_instances import InstanceFiles
from datamodules.unreadable import UnreadableSample
from experiment.targets import instantiate_flat
from tests.conftest import compose


def write_coco(folder: Path, *annotations: dict[str, Any]) -> Path:
    """One image of 40 x 30 pixels, and the categories cat (3) and dog (7)."""
    (folder / "train").mkdir()
    (folder / "annotations").mkdir()
    Image.new("RGB", (40, 30)).save(folder / "train" / "one.jpg")
    content = {
        "images": [{"id": 5, "file_name": "one.jpg"}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [{"id": 11, "image_id": 5, "iscrowd": 0, "category_id": 7, **entry} for entry in annotations],
    }
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return folder


def files(folder: Path, *, with_crowds: bool = True) -> InstanceFiles:
    return InstanceFiles(folder, "train", ["cat", "dog"], with_crowds=with_crowds)


def test_a_box_is_read_from_its_corner_and_size(tmp_path):
    sample = files(write_coco(tmp_path, {"bbox": [1.5, 2, 10, 20]})).read(0)
    assert sample["boxes_xyxy"].tolist() == [[1.5, 2, 11.5, 22]]
    assert sample["label"].tolist() == [1]


def test_a_crowd_is_difficult_or_left_out(tmp_path):
    folder = write_coco(tmp_path, {"bbox": [1, 2, 10, 20], "iscrowd": 1})
    assert files(folder).read(0)["is_difficult"].tolist() == [True]
    assert files(folder, with_crowds=False).read(0)["boxes_xyxy"].shape == (0, 4)


def test_a_box_that_rounding_carries_over_the_edge_ends_at_the_edge(tmp_path):
    assert files(write_coco(tmp_path, {"bbox": [-0.01, 2, 40.02, 20]})).read(0)["boxes_xyxy"].tolist() == [
        [0, 2, 40, 22]
    ]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            {"bbox": [1, 2, 60, 20]},
            r"annotation 11: its box \[1, 2, 60, 20\] is not within the image of 40 x 30 pixels",
        ),
        ({"bbox": [1, 2, 0, 20]}, r"annotation 11: its box .* has no area"),
        ({"bbox": [1, 2, float("nan"), 20]}, "has no area"),
        ({"bbox": [1, 2, 3]}, "is not four numbers"),
        ({"bbox": [1, 2, 3, 4], "category_id": 4}, "its category 4 is none of the file's"),
    ],
)
def test_an_annotation_that_makes_no_sense_is_named(tmp_path, annotation, message):
    with pytest.raises(UnreadableSample, match=message):
        files(write_coco(tmp_path, annotation)).read(0)


def test_files_that_are_missing_or_not_cocos_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no COCO annotations .*instances_train\.json; put annotations/"):
        files(tmp_path)
    folder = write_coco(tmp_path)
    with pytest.raises(ValueError, match=r"has categories that data\.classes has not: cat; add them"):
        InstanceFiles(folder, "train", ["dog"], with_crowds=True)
    (folder / "annotations/instances_train.json").write_text("{}")
    with pytest.raises(ValueError, match="is not COCO's JSON"):
        files(folder)


@pytest.mark.real_data
def test_the_genuine_sample_reads_as_torchvision_reads_it(real_data):
    root = real_data / "coco"
    settings: Any = OmegaConf.to_container(compose("~experiment", "data=coco_detection").data, resolve=True)
    data = instantiate_flat(settings)
    data.setup("fit")
    ours = data.splits["val"]
    theirs = CocoDetection(str(root / "val2017"), str(root / "annotations/instances_val2017.json"))
    assert len(ours) == len(theirs) == 79
    names = {category["id"]: category["name"] for category in theirs.coco.dataset["categories"]}
    for index in range(0, 79, 13):
        sample, (image, annotations) = ours.read(index), theirs[index]
        assert torch.equal(sample["image"], torch.from_numpy(np.array(image)).permute(2, 0, 1))
        assert [data.class_names[label] for label in sample["label"]] == [names[a["category_id"]] for a in annotations]
        corner_and_size = torch.tensor([a["bbox"] for a in annotations])
        sample["boxes_xyxy"][:, 2:] -= sample["boxes_xyxy"][:, :2]
        torch.testing.assert_close(sample["boxes_xyxy"].as_subclass(torch.Tensor), corner_and_size, atol=1e-3, rtol=0)
