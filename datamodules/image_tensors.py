"""Image classification sets small enough to keep in memory as bytes; a batch is bent and normalised in one piece."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image, UnidentifiedImageError
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from datamodules.batches import ImageBatch, ImageClassificationBatch
from datamodules.loading import (
    Draw,
    evaluation_loader,
    evenly_spread,
    training_loader,
    training_order,
)
from datamodules.randomness import uniform_per_sample


class LabelledImages(NamedTuple):
    """One split: images as bytes, 0 to 255, and the index of each one's class."""

    image: UInt8[Tensor, "n C h w"]
    label: Int64[Tensor, " n"]


class Splits(NamedTuple):
    """What is trained on, what choices are made by, and what is reported."""

    train: LabelledImages
    val: LabelledImages
    test: LabelledImages


class Normalisation(NamedTuple):
    """From bytes to what a network takes: `(byte / 255 - mean) / std`, repeated to so many channels, at such a side."""

    mean: float
    std: float
    in_channels: int
    image_size: int


class Jitter(NamedTuple):
    """The largest random rotation (degrees), shift (fraction of the side) and change of scale (fraction)."""

    degrees: float
    translate: float
    scale: float


def normalise(image: UInt8[Tensor, "B C h w"], to: Normalisation) -> Float[Tensor, "B C2 H W"]:
    """Scale the values, then resize bilinearly."""
    scaled = (image.float() / 255 - to.mean) / to.std
    resized = F.interpolate(scaled, size=(to.image_size, to.image_size), mode="bilinear", align_corners=False)
    return resized.expand(-1, to.in_channels, -1, -1)


def jitter_and_normalise(
    image: UInt8[Tensor, "B C h w"], to: Normalisation, jitter: Jitter, uniform: Float[Tensor, "B 4"]
) -> Float[Tensor, "B C2 H W"]:
    """Rotate, scale and shift each image by its own random amount, in the same bilinear pass that resizes it."""
    scaled = (image.float() / 255 - to.mean) / to.std
    signed = uniform * 2 - 1
    angle = torch.deg2rad(signed[:, 0] * jitter.degrees)
    zoom = 1 + signed[:, 1] * jitter.scale
    matrix = torch.empty(len(image), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) / zoom
    matrix[:, 1, 0] = torch.sin(angle) / zoom
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    # The grid spans -1 to 1, so that a whole side is 2.
    matrix[:, :, 2] = signed[:, 2:] * jitter.translate * 2
    grid = F.affine_grid(matrix, [len(image), 1, to.image_size, to.image_size], align_corners=False)
    bent = F.grid_sample(scaled, grid, padding_mode="border", align_corners=False)
    return bent.expand(-1, to.in_channels, -1, -1)


def only_classes(split: LabelledImages, classes: list[int]) -> LabelledImages:
    """The images of these classes in the order they had, each labelled with its class's place in the list."""
    place = {label: index for index, label in enumerate(classes)}
    rows = [row for row, label in enumerate(split.label.tolist()) if label in place]
    return LabelledImages(split.image[rows], torch.tensor([place[int(split.label[row])] for row in rows]).long())


class TrainingImages:
    """A split whose images are bent anew at every visit."""

    def __init__(self, split: LabelledImages, to: Normalisation, jitter: Jitter, *, seed: int) -> None:
        self.split = split
        self.to = to
        self.jitter = jitter
        self.seed = seed

    def __len__(self) -> int:
        return len(self.split.label)

    def __getitems__(self, draws: list[Draw]) -> ImageClassificationBatch:
        indices = [draw.sample for draw in draws]
        image, label = self.split.image[indices], self.split.label[indices]
        uniform = uniform_per_sample(seed=self.seed, epochs=[draw.epoch for draw in draws], indices=indices, draws=4)
        return ImageClassificationBatch(jitter_and_normalise(image, self.to, self.jitter, uniform), label)


class EvaluationImages:
    """A split whose images are shown as they are."""

    def __init__(self, split: LabelledImages, to: Normalisation) -> None:
        self.split = split
        self.to = to

    def __len__(self) -> int:
        return len(self.split.label)

    def __getitems__(self, draws: list[Draw]) -> ImageClassificationBatch:
        indices = [draw.sample for draw in draws]
        return ImageClassificationBatch(normalise(self.split.image[indices], self.to), self.split.label[indices])


class ImageFiles:
    """Image files from anywhere, brought to a data set's own size and grey values."""

    def __init__(self, paths: Sequence[Path], to: Normalisation, *, native_size: int) -> None:
        self.paths = list(paths)
        self.to = to
        self.native_size = native_size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> ImageBatch:
        image = torch.stack([read_grey_image(self.paths[draw.sample], side=self.native_size) for draw in draws])
        return ImageBatch(normalise(image, self.to))


def read_grey_image(path: Path, *, side: int) -> UInt8[Tensor, "1 side side"]:
    """A grey image resized to a square.

    Raises:
        ValueError: the file is not an image that Pillow reads.
    """
    try:
        with Image.open(path) as image:
            grey = image.convert("L").resize((side, side), Image.Resampling.BOX)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error}); replace it or leave it out") from error
    return torch.from_numpy(np.array(grey))[None]


class ImageTensorsDataModule(LightningDataModule, ABC):
    """Training, validation and test batches of grey images held in memory.

    Args:
        batch_size: samples of one process in a step.
        num_workers: processes that make batches; 0 makes them in the training process, the fastest for tiny images.
        seed: of the order and of the random bending, each a function of (seed, epoch, sample).
        num_classes: what the labels must lie below.
        in_channels: 1, or 3 for networks that expect colour: the grey channel is repeated.
        image_size: side in pixels that images are resized to.
        degrees, translate, scale: the largest random rotation, shift (fraction of the side) and change of scale in
            training; all 0 shows the images as they are.
        classes: which of the set's classes are kept, in the order of their new indices; None keeps all.
        mean, std: what values from 0 to 1 are normalised by, 0.5 and 0.5 bring them to -1 to 1; None takes the set's.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
        num_classes: int,
        in_channels: int,
        image_size: int,
        degrees: float,
        translate: float,
        scale: float,
        classes: list[int] | None = None,
        mean: float | None = None,
        std: float | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if in_channels not in (1, 3):
            raise ValueError(
                f"data.in_channels={in_channels}: grey images have 1 channel, or 3 equal ones; choose 1 or 3"
            )
        if classes is not None and not len(classes) == len(set(classes)) == num_classes:
            raise ValueError(f"data.classes={classes}: name every class once, and set data.num_classes to their number")
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.num_classes = num_classes
        self.classes = classes
        self.jitter = Jitter(degrees, translate, scale)
        own_mean, own_std = self.mean_and_std()
        self.normalisation = Normalisation(
            own_mean if mean is None else mean, own_std if std is None else std, in_channels, image_size
        )
        self.splits: Splits | None = None

    @abstractmethod
    def read_splits(self) -> Splits:
        """The three splits, in a fixed order."""

    @abstractmethod
    def mean_and_std(self) -> tuple[float, float]:
        """Of the training split's values on a scale from 0 to 1."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their indices: digits."""
        return [str(name) for name in self.classes or range(self.num_classes)]

    @property
    @abstractmethod
    def native_size(self) -> int:
        """Side in pixels of the stored images."""

    def setup(self, stage: str) -> None:
        """Read the splits, once.

        Raises:
            ValueError: a split is empty, or a label is not below `num_classes`.
        """
        if self.splits is not None:
            return
        splits = self.read_splits()
        if self.classes is not None:
            splits = Splits(*(only_classes(split, self.classes) for split in splits))
        for name, split in splits._asdict().items():
            if len(split.label) == 0:
                raise ValueError(f"the {name} split is empty; it needs at least one image")
            outside = torch.nonzero((split.label < 0) | (split.label >= self.num_classes)).flatten()
            if len(outside) > 0:
                row = int(outside[0])
                raise ValueError(
                    f"{name} image {row} has label {int(split.label[row])}, but data.num_classes={self.num_classes}"
                    f" allows 0 to {self.num_classes - 1}; set data.num_classes or correct the label"
                )
        self.splits = splits

    def fingerprint(self) -> str:
        """A hash over every split's images and labels."""
        digest = hashlib.sha256()
        for split in self._read():
            for part in split:
                digest.update(str(tuple(part.shape)).encode())
                digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    def train_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        dataset = TrainingImages(self._read().train, self.normalisation, self.jitter, seed=self.seed)
        order = training_order(self.trainer, len(dataset), batch_size=self.batch_size, seed=self.seed)
        return training_loader(dataset, order, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[ImageClassificationBatch]:
        """Every image of a split once, as it is."""
        images = EvaluationImages(getattr(self._read(), split), self.normalisation)
        return evaluation_loader(images, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers)

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[ImageBatch]:
        """Batches of image files in the order given; like the set, they show bright strokes on a dark ground."""
        files = ImageFiles(paths, self.normalisation, native_size=self.native_size)
        return evaluation_loader(files, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some images of a split, evenly spread over it, written into a folder as they are stored."""
        images = getattr(self._read(), split).image
        files = []
        for index in evenly_spread(count, of=len(images)):
            files.append(folder / f"{split}-{index}.png")
            Image.fromarray(images[index, 0].numpy()).save(files[-1])
        return files

    def _read(self) -> Splits:
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits
