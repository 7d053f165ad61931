"""Photographs with annotated people: batches for training, evaluation and prediction."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.batches import KeypointBatch, SizedImageBatch
from datamodules.coco_annotations import KEYPOINTS, AnnotatedImage
from datamodules.loading import (
    Draw,
    SamplesOneByOne,
    evaluation_loader,
    evenly_spread,
    training_loader,
    training_order,
)
from datamodules.pose_samples import Photographs, PoseSample, VariedImages, WholeImages, collate, collate_files
from datamodules.pose_transforms import Augmentation
from datamodules.unreadable import OnError


class PoseSplits(NamedTuple):
    """What is trained on, what choices are made by, and what is reported."""

    train: list[AnnotatedImage]
    val: list[AnnotatedImage]
    test: list[AnnotatedImage]


class PoseImagesDataModule(LightningDataModule, ABC):
    """Training, validation and test batches of photographs with people, and of a user's files.

    Args:
        batch_size: samples of one process in a step.
        num_workers: processes that make batches; 0 makes them in the training process.
        seed: of the order and of the augmentation, each a function of (seed, epoch, sample).
        image_size: side of the square in training, in pixels.
        evaluation_size: the same in evaluation and prediction, where it holds the whole image.
        augmentation: an `Augmentation`; None shows training images as evaluation does.
        on_error: what to do with a sample that cannot be read, `raise` or `skip`.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
        image_size: int,
        evaluation_size: int,
        augmentation: dict[str, Any] | None,
        on_error: OnError,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if augmentation is not None:
            augmentation = {name: value for name, value in augmentation.items() if name != "_target_"}
        if augmentation is not None and (unknown := sorted(augmentation.keys() - set(Augmentation._fields))):
            raise ValueError(
                f"data.augmentation.{unknown[0]} is unknown; choose from {', '.join(Augmentation._fields)}"
            )
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.image_size = image_size
        self.evaluation_size = evaluation_size
        self.augmentation = None if augmentation is None else Augmentation(**augmentation)
        self.on_error: OnError = on_error
        self.splits: PoseSplits | None = None

    @abstractmethod
    def read_splits(self) -> PoseSplits:
        """The three splits, in a fixed order."""

    @property
    def class_names(self) -> list[str]:
        """COCO's keypoints."""
        return list(KEYPOINTS)

    def setup(self, stage: str) -> None:
        """Read the annotations, once.

        Raises:
            FileNotFoundError: they are missing.
            ValueError: they make no sense, or a split is empty.
        """
        if self.splits is not None:
            return
        splits = self.read_splits()
        for name, split in splits._asdict().items():
            if not split:
                raise ValueError(f"the {name} split has no image to learn from or to judge by; it needs at least one")
        self.splits = splits

    def fingerprint(self) -> str:
        """A hash over every split's annotations, and its image files' names and sizes."""
        digest = hashlib.sha256()
        for split in self._read():
            for image in split:
                size = image.file.stat().st_size if image.file.is_file() else None
                digest.update(f"{image.image_id} {image.file.name} {size} {image.records}".encode())
        return digest.hexdigest()

    def train_dataloader(self) -> DataLoader[KeypointBatch]:
        split = self._read().train
        order = training_order(self.trainer, len(split), batch_size=self.batch_size, seed=self.seed)
        read: Callable[[Draw], PoseSample] = WholeImages(split, side=self.evaluation_size)
        if self.augmentation is not None:
            read = VariedImages(split, self.augmentation, seed=self.seed, side=self.image_size)
        dataset = SamplesOneByOne(len(split), read, collate)
        return training_loader(dataset, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[KeypointBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[KeypointBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[KeypointBatch]:
        """Every image of a split once, whole."""
        images: list[AnnotatedImage] = getattr(self._read(), split)
        dataset = SamplesOneByOne(len(images), WholeImages(images, side=self.evaluation_size), collate)
        return evaluation_loader(
            dataset, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[SizedImageBatch]:
        """Batches of image files in the order given, turned upright where the camera noted how it was held."""
        dataset = SamplesOneByOne(len(paths), Photographs(paths, side=self.evaluation_size), collate_files)
        return evaluation_loader(dataset, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some files of a split, evenly spread over it."""
        images: list[AnnotatedImage] = getattr(self._read(), split)
        return [images[index].file for index in evenly_spread(count, of=len(images))]

    def _read(self) -> PoseSplits:
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits
