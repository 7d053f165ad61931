"""PASCAL VOC as it lies on disk: the layout and the files of the 2007 to 2012 development kits.

    <devkit>/VOC2012/ImageSets/Main/train.txt          names of images, for detection
                     ImageSets/Segmentation/train.txt  the same for segmentation
                     JPEGImages/<name>.jpg
                     Annotations/<name>.xml            objects with their boxes
                     SegmentationClass/<name>.png      a class for each pixel, by palette; 255 is void

Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4.
"""

import math
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision import tv_tensors

from datamodules.batches import VOID
from datamodules.joint_transforms import Sample
from datamodules.pictures import read_picture
from datamodules.unreadable import UnreadableSample


class ImageSet(NamedTuple):
    """One list of a development kit: its year's folder and the names of its images."""

    folder: Path
    names: list[str]


def read_image_set(devkit_dir: Path, image_set: str, *, task: str) -> ImageSet:
    """The images of `VOC2012/train` and the like.

    Args:
        task: `Main` for detection, `Segmentation`.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: it is empty, or not named by folder and list.
    """
    year, _, split = image_set.partition("/")
    if not (year and split):
        raise ValueError(f"image set {image_set!r} is not <folder>/<list>; give one such as VOC2012/train")
    file = devkit_dir / year / "ImageSets" / task / f"{split}.txt"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in file.parent.glob("*.txt"))[:8]) or "nothing"
        raise FileNotFoundError(
            f"no VOC image set {file}; {file.parent} holds {there}; put the unpacked VOCdevkit there or set"
            " FIRSTHAND_DATA to the folder that holds it"
        )
    # The lists of single classes have a second column, which says whether the class is there.
    names = [line.split()[0] for line in file.read_text().splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{file} names no image; a split needs at least one")
    return ImageSet(devkit_dir / year, names)


class DetectionFiles:
    """Images with the boxes of their objects.

    Args:
        with_difficult: false leaves out what the annotators marked as difficult.
    """

    def __init__(self, sets: Sequence[ImageSet], class_names: Sequence[str], *, with_difficult: bool) -> None:
        self.places = [(image_set.folder, name) for image_set in sets for name in image_set.names]
        self.label_of = {name: label for label, name in enumerate(class_names)}
        self.with_difficult = with_difficult

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> Sample:
        """An image and its objects.

        Raises:
            UnreadableSample: a file is missing or damaged, or an object makes no sense.
        """
        folder, name = self.places[index]
        image = read_picture(folder / "JPEGImages" / f"{name}.jpg")
        height, width = image.shape[-2:]
        objects = read_objects(folder / "Annotations" / f"{name}.xml", self.label_of, width=width, height=height)
        if not self.with_difficult:
            objects = [found for found in objects if not found.is_difficult]
        boxes_xyxy = torch.tensor([found.box_xyxy for found in objects], dtype=torch.float32).reshape(-1, 4)
        return {
            "image": image,
            "boxes_xyxy": tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width)),
            "label": torch.tensor([found.label for found in objects], dtype=torch.int64),
            "is_difficult": torch.tensor([found.is_difficult for found in objects], dtype=torch.bool),
        }

    def fingerprint(self) -> str:
        """A hash over names, annotations, and the sizes of the image files."""
        return _hash_of_files([(f / "Annotations" / f"{n}.xml", f / "JPEGImages" / f"{n}.jpg") for f, n in self.places])


class SegmentationFiles:
    """Images with a class for every pixel."""

    def __init__(self, sets: Sequence[ImageSet], *, num_classes: int) -> None:
        self.places = [(image_set.folder, name) for image_set in sets for name in image_set.names]
        self.num_classes = num_classes

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> Sample:
        """An image and its mask.

        Raises:
            UnreadableSample: a file is missing or damaged, or the mask does not fit the image or the classes.
        """
        folder, name = self.places[index]
        image = read_picture(folder / "JPEGImages" / f"{name}.jpg")
        file = folder / "SegmentationClass" / f"{name}.png"
        mask = read_mask(file, num_classes=self.num_classes)
        if mask.shape != image.shape[-2:]:
            (height, width), (image_height, image_width) = mask.shape, image.shape[-2:]
            raise UnreadableSample(file, f"the mask is {width} x {height}, its image {image_width} x {image_height}")
        return {"image": image, "mask": tv_tensors.Mask(mask)}

    def fingerprint(self) -> str:
        """A hash over names, masks, and the sizes of the image files."""
        return _hash_of_files(
            [(f / "SegmentationClass" / f"{n}.png", f / "JPEGImages" / f"{n}.jpg") for f, n in self.places]
        )


class VOCObject(NamedTuple):
    """An object, its box in pixels from edge to edge: what the files call 1 to 10 is 0 to 10."""

    label: int
    box_xyxy: tuple[float, float, float, float]
    is_difficult: bool


def read_objects(path: Path, label_of: dict[str, int], *, width: int, height: int) -> list[VOCObject]:
    """The objects of an annotation file, in its order; there may be none.

    The files count pixels from 1 and name a box's first and last, so half a pixel is lost by those who subtract 1 from
    all four numbers. Between edges, an area is what the development kit computes with `xmax - xmin + 1`.

    Raises:
        UnreadableSample: no such file, no XML, an unknown class, or a box that is not within the image or has no area.
    """
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - a user's own files
    except FileNotFoundError as error:
        raise UnreadableSample(path, "there is no such file") from error
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise UnreadableSample(path, f"it is not XML ({error})") from error
    objects = []
    for number, element in enumerate(root.iter("object"), start=1):
        name = (element.findtext("name") or "").strip()
        record = f"object {number} ({name or 'without a name'})"
        if name not in label_of:
            known = ", ".join(label_of)
            raise UnreadableSample(path, f"its class is not one of {known} (data.class_names)", record=record)
        box_xyxy = _read_box(element, path, record)
        left, top, right, bottom = box_xyxy
        if not (left < right and top < bottom):
            raise UnreadableSample(path, f"its box {_as_written(box_xyxy)} has no area", record=record)
        if left < 0 or top < 0 or right > width or bottom > height:
            reason = f"its box {_as_written(box_xyxy)} is not within the image of {width} x {height} pixels"
            raise UnreadableSample(path, reason, record=record)
        is_difficult = (element.findtext("difficult") or "0").strip() == "1"
        objects.append(VOCObject(label_of[name], box_xyxy, is_difficult))
    return objects


def _read_box(element: ElementTree.Element, path: Path, record: str) -> tuple[float, float, float, float]:
    # An object's parts (head, hands) have boxes of their own, further down.
    numbers = [element.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    try:
        # Some of the original files have fractions.
        left, top, right, bottom = (float(number or "missing") for number in numbers)
    except ValueError as error:
        raise UnreadableSample(path, f"its box {numbers} is not four numbers", record=record) from error
    if not all(math.isfinite(number) for number in (left, top, right, bottom)):
        raise UnreadableSample(path, f"its box {numbers} is not four finite numbers", record=record)
    return left - 1, top - 1, right, bottom


def _as_written(box_xyxy: tuple[float, float, float, float]) -> str:
    left, top, right, bottom = box_xyxy
    return f"xmin={left + 1:g} ymin={top + 1:g} xmax={right:g} ymax={bottom:g}"


def read_mask(path: Path, *, num_classes: int) -> UInt8[Tensor, "H W"]:
    """A class or `VOID` for each pixel, from a picture with palette (or grey values).

    Raises:
        UnreadableSample: there is no such file, it is no such picture, or it holds a class too many.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L"):
                reason = (
                    f"a mask has one index a pixel (a palette or grey values), this picture has mode {picture.mode}"
                )
                raise UnreadableSample(path, reason)
            mask = torch.from_numpy(np.array(picture))
    except FileNotFoundError as error:
        raise UnreadableSample(path, "there is no such file") from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UnreadableSample(path, f"it cannot be read as a picture ({error})") from error
    beyond = mask[(mask >= num_classes) & (mask != VOID)]
    if len(beyond) > 0:
        reason = f"it holds class {int(beyond[0])}, but data.num_classes={num_classes} allows 0 to {num_classes - 1}"
        raise UnreadableSample(path, f"{reason}, and {VOID} for void")
    return mask


def _hash_of_files(files: Sequence[tuple[Path, Path]]) -> str:
    digest = sha256()
    for target, image in files:
        digest.update(target.name.encode())
        digest.update(target.read_bytes() if target.is_file() else b"missing")
        digest.update(str(image.stat().st_size if image.is_file() else -1).encode())
    return digest.hexdigest()
