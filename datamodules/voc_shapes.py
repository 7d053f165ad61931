"""A made-up set in PASCAL VOC's layout: textured shapes that overlap, with exact boxes and masks.

A class is a kind of shape, whatever its colours, texture, size, proportions and rotation, and the background has a
texture as well: neither colour nor a single edge tells what something is.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datamodules.batches import VOID
from datamodules.new_folder import new_folder

SHAPE_NAMES = ("disc", "square", "triangle", "star")
# The folder that the image sets are named by: VOCshapes/train.
YEAR = "VOCshapes"
# Part of the folder's name: raise it when the same settings give other files.
_VERSION = 1
# A shape of which the others leave less than this is not placed there; below the second it is called difficult.
_LEAST_VISIBLE = 0.5
_PLAINLY_VISIBLE = 0.65
_LEAST_COLOUR_DISTANCE = 80.0
_LARGEST_ROTATION = math.pi / 12
_ATTEMPTS = 20

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Shape(NamedTuple):
    """One shape: its class, and the pixels it would cover alone."""

    label: int
    mask: Mask


class VOCShapes:
    """How many pictures of which kind; the same settings give the same files.

    Args:
        num_train, num_val, num_test: pictures of each split.
        image_size: their side in pixels.
        max_objects: a picture has 1 to so many shapes.
        seed: of everything that is drawn.

    Raises:
        ValueError: a number is too small to make a set of.
    """

    def __init__(
        self, *, num_train: int, num_val: int, num_test: int, image_size: int, max_objects: int, seed: int
    ) -> None:
        self.num_images = {"train": num_train, "val": num_val, "test": num_test}
        self.image_size = image_size
        self.max_objects = max_objects
        self.seed = seed
        if min(self.num_images.values()) < 1 or max_objects < 1:
            raise ValueError(
                f"data.shapes asks for {self.num_images} pictures of 1 to {max_objects} shapes; 1 is least"
            )
        if image_size < 32:
            raise ValueError(f"data.shapes.image_size={image_size}: shapes are told apart from 32 pixels on; raise it")

    def devkit(self, folder: Path) -> Path:
        """The folder below another in which these settings' set lies."""
        settings = json.dumps([_VERSION, vars(self)], sort_keys=True)
        return folder / hashlib.sha256(settings.encode()).hexdigest()[:12]

    def write(self, folder: Path) -> None:
        """Write the set, whole or not at all, unless it is there."""
        devkit = self.devkit(folder)
        if devkit.is_dir():
            return
        with new_folder(devkit) as unfinished:
            for number, (split, num_images) in enumerate(self.num_images.items()):
                self._write_split(unfinished / YEAR, split, num_images, number)

    def _write_split(self, year: Path, split: str, num_images: int, number: int) -> None:
        names = [f"{split}_{index:05d}" for index in range(num_images)]
        for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
            (year / name).mkdir(parents=True, exist_ok=True)
        for task in ("Main", "Segmentation"):
            (year / "ImageSets" / task / f"{split}.txt").write_text("\n".join(names) + "\n")
        for index, name in enumerate(names):
            rng = np.random.default_rng([self.seed, number, index])
            shapes = draw_shapes(rng, side=self.image_size, max_objects=self.max_objects)
            picture = Image.fromarray(paint(rng, shapes, side=self.image_size))
            picture.save(year / "JPEGImages" / f"{name}.jpg", quality=95)
            mask = Image.fromarray(class_mask(shapes, side=self.image_size), mode="P")
            mask.putpalette(voc_palette())
            mask.save(year / "SegmentationClass" / f"{name}.png")
            annotation = describe(shapes, name=name, side=self.image_size)
            ElementTree.ElementTree(annotation).write(os.fspath(year / "Annotations" / f"{name}.xml"))


def draw_shapes(rng: np.random.Generator, *, side: int, max_objects: int) -> list[Shape]:
    """Shapes from back to front, of each of which the later ones leave something visible."""
    shapes: list[Shape] = []
    for _ in range(int(rng.integers(1, max_objects + 1))):
        for _ in range(_ATTEMPTS):
            label = int(rng.integers(len(SHAPE_NAMES)))
            candidate = Shape(label, _draw_shape(rng, SHAPE_NAMES[label], side=side))
            if min(_visible_fractions([*shapes, candidate])) >= _LEAST_VISIBLE:
                shapes.append(candidate)
                break
    return shapes


def visible_masks(shapes: list[Shape]) -> list[Mask]:
    """For each shape the pixels that no later one covers."""
    masks: list[Mask] = []
    covered = np.zeros_like(shapes[0].mask)
    for shape in reversed(shapes):
        masks.insert(0, shape.mask & ~covered)
        covered |= shape.mask
    return masks


def class_mask(shapes: list[Shape], *, side: int) -> Bytes:
    """0 for the background, the class counted from 1, and void along the inner edge of every shape."""
    result = np.zeros((side, side), dtype=np.uint8)
    for shape, visible in zip(shapes, visible_masks(shapes), strict=True):
        result[visible] = shape.label + 1
        padded = np.pad(visible, 1)
        inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        result[visible & ~inside] = VOID
    return result


def paint(rng: np.random.Generator, shapes: list[Shape], *, side: int) -> Bytes:
    """The picture in red, green and blue."""
    picture = _texture(rng, side=side)
    ground = picture.mean(axis=(0, 1))
    for shape in shapes:
        texture = _texture(rng, side=side)
        while np.linalg.norm(texture.mean(axis=(0, 1)) - ground) < _LEAST_COLOUR_DISTANCE:
            texture = _texture(rng, side=side)
        picture[shape.mask] = texture[shape.mask]
    grain = rng.normal(0, 6, size=(side, side, 1))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def describe(shapes: list[Shape], *, name: str, side: int) -> ElementTree.Element:
    """The annotation: boxes around what is visible, first and last pixel counted from 1."""
    annotation = ElementTree.Element("annotation")
    _add(annotation, "folder", YEAR)
    _add(annotation, "filename", f"{name}.jpg")
    size = ElementTree.SubElement(annotation, "size")
    for key, value in {"width": side, "height": side, "depth": 3}.items():
        _add(size, key, value)
    _add(annotation, "segmented", 1)
    fractions = _visible_fractions(shapes)
    for shape, visible, fraction in zip(shapes, visible_masks(shapes), fractions, strict=True):
        element = ElementTree.SubElement(annotation, "object")
        _add(element, "name", SHAPE_NAMES[shape.label])
        _add(element, "truncated", int(fraction < 1))
        _add(element, "difficult", int(fraction < _PLAINLY_VISIBLE))
        rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
        box = ElementTree.SubElement(element, "bndbox")
        _add(box, "xmin", int(columns[0]) + 1)
        _add(box, "ymin", int(rows[0]) + 1)
        _add(box, "xmax", int(columns[-1]) + 1)
        _add(box, "ymax", int(rows[-1]) + 1)
    return annotation


def voc_palette() -> list[int]:
    """VOC's 256 colours in a row: the bits of an index, spread over red, green and blue from the highest bit down."""
    return [
        sum((index >> (3 * step + channel) & 1) << (7 - step) for step in range(3))
        for index in range(256)
        for channel in range(3)
    ]


def _visible_fractions(shapes: list[Shape]) -> list[float]:
    pairs = zip(shapes, visible_masks(shapes), strict=True)
    return [float(visible.sum() / max(1, shape.mask.sum())) for shape, visible in pairs]


def _draw_shape(rng: np.random.Generator, name: str, *, side: int) -> Mask:
    radius = side * rng.uniform(0.14, 0.28)
    width, height = radius * rng.uniform(0.85, 1.15, size=2)
    # An eighth of a shape's reach may lie outside the picture.
    margin = 0.9 * radius
    x, y = rng.uniform(margin, side - margin, size=2)
    if name == "disc":
        outline = np.linspace(0, 2 * math.pi, 72, endpoint=False)
        reach = np.ones_like(outline)
    elif name == "star":
        outline = (np.arange(10) - 2.5) * math.pi / 5
        reach = np.where(np.arange(10) % 2 == 0, 1.15, 0.48)
    else:
        corners = {"square": 4, "triangle": 3}[name]
        # A corner points up, but the square stands on a side.
        outline = np.arange(corners) * 2 * math.pi / corners + (math.pi / 4 if corners == 4 else -math.pi / 2)
        reach = np.full(corners, 1.2)
    angle = rng.uniform(-_LARGEST_ROTATION, _LARGEST_ROTATION)
    points = np.stack([np.cos(outline) * reach * width, np.sin(outline) * reach * height], axis=1)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    canvas = Image.new("1", (side, side))
    ImageDraw.Draw(canvas).polygon([(float(a), float(b)) for a, b in points @ rotation.T + (x, y)], fill=1)
    return np.array(canvas, dtype=np.bool_)


def _texture(rng: np.random.Generator, *, side: int) -> NDArray[np.float64]:
    """Two related colours in a pattern."""
    first = rng.uniform(20, 235, size=3)
    second = np.clip(first + rng.uniform(-40, 40, size=3), 0, 255)
    patterns: tuple[Callable[[np.random.Generator, int], NDArray[np.float64]], ...] = (_stripes, _checks, _clouds)
    share = patterns[int(rng.integers(len(patterns)))](rng, side)[:, :, None]
    return first * share + second * (1 - share)


def _stripes(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    return 0.5 + 0.5 * _wave(rng, side)


def _checks(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    return np.asarray(_wave(rng, side) * _wave(rng, side) > 0, dtype=np.float64)


def _clouds(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    coarse = Image.fromarray(rng.integers(0, 256, size=(6, 6), dtype=np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64) / 255


def _wave(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    angle, phase = rng.uniform(0, 2 * math.pi, size=2)
    cycles = rng.uniform(4, 12)
    rows, columns = np.mgrid[:side, :side]
    along = (columns * math.cos(angle) + rows * math.sin(angle)) / side
    return np.asarray(np.sin(2 * math.pi * cycles * along + phase))


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)
