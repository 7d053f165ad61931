"""VOC's files: what is read, and what is refused with the file's name and the reason."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import VOCDetection, VOCSegmentation

from datamodules.unreadable import UnreadableSample
from datamodules.voc_devkit import DetectionFiles, SegmentationFiles, read_image_set
from tests.datamodules.voc_files import CLASSES, an_object, write_devkit, write_mask


def detection(devkit: Path, *, with_difficult: bool = True) -> DetectionFiles:
    return DetectionFiles(
        [read_image_set(devkit, "VOC2012/train", task="Main")], CLASSES, with_difficult=with_difficult
    )


def segmentation(devkit: Path) -> SegmentationFiles:
    return SegmentationFiles([read_image_set(devkit, "VOC2012/train", task="Segmentation")], num_classes=3)


def test_a_box_reaches_from_its_first_pixels_edge_to_its_last_ones(tmp_path):
    sample = detection(write_devkit(tmp_path, objects=an_object("dog", 1, 2, 10, 30))).read(0)
    assert sample["boxes_xyxy"].tolist() == [[0, 1, 10, 30]]
    assert sample["label"].tolist() == [1]
    assert sample["image"].shape == (3, 30, 40)


def test_fractions_in_a_box_are_read_as_some_original_files_have_them(tmp_path):
    sample = detection(write_devkit(tmp_path, objects=an_object("dog", "1.5", 2, "10.25", 30))).read(0)
    assert sample["boxes_xyxy"].tolist() == [[0.5, 1, 10.25, 30]]


def test_difficult_objects_are_marked_or_left_out(tmp_path):
    objects = an_object("dog", 1, 1, 5, 5, difficult=1) + an_object("cat", 1, 1, 9, 9)
    devkit = write_devkit(tmp_path, objects=objects)
    assert detection(devkit).read(0)["is_difficult"].tolist() == [True, False]
    assert detection(devkit, with_difficult=False).read(0)["label"].tolist() == [0]


def test_the_parts_of_a_person_are_no_objects(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part>"
    objects = an_object("dog", 1, 1, 5, 5).replace("</object>", f"{part}</object>")
    assert detection(write_devkit(tmp_path, objects=objects)).read(0)["boxes_xyxy"].tolist() == [[0, 0, 5, 5]]


def test_an_image_without_objects_has_none(tmp_path):
    sample = detection(write_devkit(tmp_path, objects="")).read(0)
    assert sample["boxes_xyxy"].shape == (0, 4)
    assert sample["label"].shape == (0,)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (an_object("dog", 1, 1, 41, 30), r"object 1 \(dog\): its box xmin=1 ymin=1 xmax=41 ymax=30 is not within the"),
        (an_object("dog", 0, 1, 40, 30), r"is not within the image of 40 x 30 pixels"),
        (an_object("dog", 8, 1, 7, 30), r"object 1 \(dog\): its box xmin=8 ymin=1 xmax=7 ymax=30 has no area"),
        (an_object("dog", 1, 1, 4, "four"), r"its box \['1', '1', '4', 'four'\] is not four numbers"),
        (an_object("dog", 1, 1, 4, "nan"), r"is not four finite numbers"),
        ("<object><name>dog</name></object>", r"its box \[None, None, None, None\] is not four numbers"),
        (an_object("cat", 1, 1, 5, 5) + an_object("cow", 1, 1, 5, 5), r"object 2 \(cow\): its class is not one of cat"),
        ("<object></object>", r"object 1 \(without a name\): its class is not one of cat, dog"),
        ("<object", r"one\.xml: it is not XML \("),
    ],
)
def test_an_annotation_that_makes_no_sense_is_named(tmp_path, objects, message):
    with pytest.raises(UnreadableSample, match=message):
        detection(write_devkit(tmp_path, objects=objects)).read(0)


def test_bytes_that_are_no_text_are_not_xml(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    (devkit / "VOC2012/Annotations/one.xml").write_bytes(bytes(range(256)))
    with pytest.raises(UnreadableSample, match=r"one\.xml: it is not XML"):
        detection(devkit).read(0)


def test_a_picture_that_is_cut_off_is_named(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    file = devkit / "VOC2012/JPEGImages/one.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UnreadableSample, match=r"one\.jpg: it cannot be read as a picture \(image file is truncated"):
        detection(devkit).read(0)


@pytest.mark.parametrize("name", ["JPEGImages/one.jpg", "Annotations/one.xml"])
def test_a_missing_file_is_named(tmp_path, name):
    devkit = write_devkit(tmp_path, objects="")
    (devkit / "VOC2012" / name).unlink()
    with pytest.raises(UnreadableSample, match=f"{name}: there is no such file"):
        detection(devkit).read(0)


def test_a_missing_mask_is_named(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    (devkit / "VOC2012/SegmentationClass/one.png").unlink()
    with pytest.raises(UnreadableSample, match=r"SegmentationClass/one\.png: there is no such file"):
        segmentation(devkit).read(0)


def test_a_mask_of_another_size_is_refused(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    write_mask(devkit / "VOC2012/SegmentationClass/one.png", np.zeros((30, 41), dtype=np.uint8))
    with pytest.raises(UnreadableSample, match=r"one\.png: the mask is 41 x 30, its image 40 x 30"):
        segmentation(devkit).read(0)


def test_a_mask_with_a_class_too_many_is_refused_and_void_is_not(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    mask = np.full((30, 40), 255, dtype=np.uint8)
    write_mask(devkit / "VOC2012/SegmentationClass/one.png", mask)
    assert (segmentation(devkit).read(0)["mask"] == 255).all()
    mask[3, 4] = 3
    write_mask(devkit / "VOC2012/SegmentationClass/one.png", mask)
    with pytest.raises(UnreadableSample, match=r"it holds class 3, but data\.num_classes=3 allows 0 to 2"):
        segmentation(devkit).read(0)


def test_a_mask_in_colours_is_refused(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    Image.new("RGB", (40, 30)).save(devkit / "VOC2012/SegmentationClass/one.png")
    with pytest.raises(UnreadableSample, match="a mask has one index a pixel"):
        segmentation(devkit).read(0)


def test_an_image_set_that_is_not_there_is_named_with_those_that_are(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    with pytest.raises(FileNotFoundError, match=r"no VOC image set .*Main/val\.txt; .*Main holds train; put the"):
        read_image_set(devkit, "VOC2012/val", task="Main")
    with pytest.raises(ValueError, match="image set 'train' is not <folder>/<list>"):
        read_image_set(devkit, "train", task="Main")


def test_the_lists_of_single_classes_are_read_without_their_second_column(tmp_path):
    devkit = write_devkit(tmp_path, objects="")
    (devkit / "VOC2012/ImageSets/Main/dog_train.txt").write_text("one  1\ntwo -1\n")
    assert read_image_set(devkit, "VOC2012/dog_train", task="Main").names == ["one", "two"]


def test_a_fingerprint_changes_with_an_annotation(tmp_path):
    files = detection(write_devkit(tmp_path, objects=an_object("dog", 1, 1, 5, 5)))
    before = files.fingerprint()
    assert files.fingerprint() == before
    (tmp_path / "VOC2012/Annotations/one.xml").write_text("<annotation></annotation>")
    assert files.fingerprint() != before


@pytest.mark.real_data
def test_the_genuine_sample_reads_as_torchvision_reads_it(real_data):
    root = real_data / "voc"
    names = (Path(__file__).parents[2] / "conf/data/voc_classes.yaml").read_text().split("- ")[1:]
    classes = [name.strip() for name in names]
    image_set = read_image_set(root / "VOCdevkit", "VOC2012/trainval", task="Main")
    ours = DetectionFiles([image_set], classes, with_difficult=True)
    theirs = VOCDetection(str(root), year="2012", image_set="trainval")
    assert len(ours) == len(theirs) == 108
    for index in range(0, 108, 9):
        sample, (image, target) = ours.read(index), theirs[index]
        assert torch.equal(sample["image"], torch.from_numpy(np.array(image)).permute(2, 0, 1))
        objects = target["annotation"]["object"]
        assert [classes[label] for label in sample["label"]] == [found["name"] for found in objects]
        corners = [[int(found["bndbox"][k]) for k in ("xmin", "ymin", "xmax", "ymax")] for found in objects]
        assert (sample["boxes_xyxy"] + torch.tensor([1, 1, 0, 0])).tolist() == corners


@pytest.mark.real_data
def test_the_genuine_masks_read_as_torchvision_reads_them(real_data):
    root = real_data / "voc"
    image_set = read_image_set(root / "VOCdevkit", "VOC2012/val", task="Segmentation")
    ours = SegmentationFiles([image_set], num_classes=21)
    theirs = VOCSegmentation(str(root), year="2012", image_set="val")
    assert len(ours) == len(theirs) == 53
    for index in range(0, 53, 9):
        assert torch.equal(ours.read(index)["mask"], torch.from_numpy(np.array(theirs[index][1])))
