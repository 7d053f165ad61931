"""A VOC development kit of one picture, to be spoilt by tests."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["cat", "dog"]


def write_devkit(folder: Path, *, objects: str, width: int = 40, height: int = 30) -> Path:
    """A folder with the image set VOC2012/train, whose only image is named `one`."""
    year = folder / "VOC2012"
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (year / name).mkdir(parents=True)
    for task in ("Main", "Segmentation"):
        (year / "ImageSets" / task / "train.txt").write_text("one\n")
    pixels = np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(year / "JPEGImages" / "one.jpg")
    (year / "Annotations" / "one.xml").write_text(f"<annotation>{objects}</annotation>")
    write_mask(year / "SegmentationClass" / "one.png", np.zeros((height, width), dtype=np.uint8))
    return folder


def write_mask(path: Path, mask: np.ndarray) -> None:
    """A picture with palette."""
    picture = Image.fromarray(mask, mode="P")
    # A shorter palette would make the file forget the indices beyond it.
    picture.putpalette(list(range(256)) * 3)
    picture.save(path)


def an_object(name: str, *box: object, difficult: int = 0) -> str:
    """An annotation's object with xmin, ymin, xmax, ymax."""
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    numbers = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners)
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{numbers}</bndbox></object>"
