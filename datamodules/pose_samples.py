"""From an image file and its annotated people to a sample, and from samples to a batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.batches import KeypointBatch, SizedImageBatch
from datamodules.coco_annotations import KEYPOINTS, AnnotatedImage, Person, ignored_pixels, people_of
from datamodules.loading import Draw
from datamodules.pose_transforms import (
    Augmentation,
    Placement,
    fitted,
    place_box,
    place_image,
    place_keypoints,
    place_mask,
    random_placement,
    scale_of,
)
from datamodules.randomness import seed_of
from datamodules.unreadable import UnreadableSample

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class PoseSample(NamedTuple):
    """A square image and its people, in its pixels."""

    image: UInt8[np.ndarray, "H W 3"]
    keypoints: Float[np.ndarray, "G 17 3"]
    box_xyxy: Float[np.ndarray, "G 4"]
    area: Float[np.ndarray, " G"]
    is_crowd: Bool[np.ndarray, " G"]
    is_ignored: Bool[np.ndarray, "H W"]
    image_id: int


def read_photograph(file: Path) -> Image.Image:
    """A whole colour image, as its pixels are stored.

    Raises:
        UnreadableSample: there is none, or it is damaged or cut off.
    """
    try:
        with Image.open(file) as image:
            image.load()
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableSample(file, f"it cannot be read as an image ({error})") from error


def read_sample(image: AnnotatedImage, placement: Placement, people: list[Person], *, side: int) -> PoseSample:
    """An image and its people in a square.

    Raises:
        UnreadableSample: the file is damaged, is not the annotated one, or an annotation makes no sense.
    """
    photograph = read_photograph(image.file)
    if photograph.size != (image.width, image.height):
        reason = f"{photograph.width} x {photograph.height} pixels, but {image.width} x {image.height} are annotated"
        raise UnreadableSample(image.file, reason)
    keypoints = [place_keypoints(person.keypoints, placement, side=side) for person in people]
    return PoseSample(
        np.array(place_image(photograph, placement, side=side)),
        np.array(keypoints, dtype=np.float32).reshape(-1, len(KEYPOINTS), 3),
        np.array([place_box(person.box_xyxy, placement) for person in people], dtype=np.float32).reshape(-1, 4),
        np.array([person.area * scale_of(placement) ** 2 for person in people], dtype=np.float32),
        np.array([person.is_crowd for person in people], dtype=bool),
        place_mask(ignored_pixels(image, people), placement, side=side),
        image.image_id,
    )


def normalised(images: list[UInt8[np.ndarray, "H W 3"]]) -> Float[Tensor, "B 3 H W"]:
    """With ImageNet's mean and spread, which pretrained features expect."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (_IMAGENET_MEAN, _IMAGENET_STD))
    return ((batch - mean) / std).contiguous()


def collate(samples: list[PoseSample]) -> KeypointBatch:
    """Samples side by side, filled up with nobody to the same number of people, at least one."""
    most = max(1, *(len(sample.area) for sample in samples))

    def padded(rows: Sequence[NDArray[Any]]) -> Tensor:
        filled = [np.pad(row, [(0, most - len(row))] + [(0, 0)] * (row.ndim - 1)) for row in rows]
        return torch.from_numpy(np.stack(filled))

    return KeypointBatch(
        normalised([sample.image for sample in samples]),
        padded([sample.keypoints for sample in samples]),
        padded([sample.box_xyxy for sample in samples]),
        padded([sample.area for sample in samples]),
        padded([sample.is_crowd for sample in samples]),
        torch.from_numpy(np.stack([sample.is_ignored for sample in samples])),
        torch.tensor([sample.image_id for sample in samples]),
    )


class WholeImages:
    """Images as they are, in the upper left corner of the square."""

    def __init__(self, images: list[AnnotatedImage], *, side: int) -> None:
        self.images = images
        self.side = side

    def __call__(self, draw: Draw) -> PoseSample:
        image = self.images[draw.sample]
        return read_sample(image, fitted(image.width, image.height, side=self.side), people_of(image), side=self.side)


class VariedImages:
    """Images around one of their labelled people, another one and otherwise varied at every visit.

    The paper's code shows an image once an epoch for each of its people; here an epoch shows every image once.
    """

    def __init__(self, images: list[AnnotatedImage], augmentation: Augmentation, *, seed: int, side: int) -> None:
        self.images = images
        self.augmentation = augmentation
        self.seed = seed
        self.side = side

    def __call__(self, draw: Draw) -> PoseSample:
        image = self.images[draw.sample]
        people = people_of(image)
        labelled = [person for person in people if person.is_labelled]
        if not labelled:
            reason = "num_keypoints promises labelled keypoints, but nobody has any"
            raise UnreadableSample(image.annotation_file, reason, record=f"image {image.image_id}")
        generator = np.random.default_rng(seed_of(self.seed, draw.epoch, draw.sample))
        middle = labelled[int(generator.integers(len(labelled)))]
        placement = random_placement(middle.box_xyxy, self.augmentation, generator, side=self.side)
        return read_sample(image, placement, people, side=self.side)


class SizedPhotograph(NamedTuple):
    """A user's image in the square, and the height and width of its file."""

    image: UInt8[np.ndarray, "H W 3"]
    height_width: tuple[int, int]


class Photographs:
    """A user's files, turned upright where the camera noted how it was held."""

    def __init__(self, paths: Sequence[Path], *, side: int) -> None:
        self.paths = list(paths)
        self.side = side

    def __call__(self, draw: Draw) -> SizedPhotograph:
        photograph = ImageOps.exif_transpose(read_photograph(self.paths[draw.sample]))
        placement = fitted(*photograph.size, side=self.side)
        placed = np.array(place_image(photograph, placement, side=self.side))
        return SizedPhotograph(placed, (photograph.height, photograph.width))


def collate_files(photographs: list[SizedPhotograph]) -> SizedImageBatch:
    """Photographs side by side."""
    images = normalised([photograph.image for photograph in photographs])
    return SizedImageBatch(images, torch.tensor([photograph.height_width for photograph in photographs]))
