"""Images with targets, each read from its files when it is drawn: what their data modules share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import to_pil_image

from datamodules.batches import DetectionBatch, SegmentationBatch, SizedImageBatch
from datamodules.joint_transforms import Sample, Transform, torchs_randomness
from datamodules.loading import (
    Draw,
    SamplesOneByOne,
    evaluation_loader,
    evenly_spread,
    training_loader,
    training_order,
)
from datamodules.pictures import PictureFiles
from datamodules.randomness import seed_of
from datamodules.unreadable import OnError

BatchT = TypeVar("BatchT")


@runtime_checkable
class AnnotatedImages(Protocol):
    """A split."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Sample:
        """An image and its target, as they are stored; raises `UnreadableSample`."""
        ...

    def fingerprint(self) -> str:
        """A hash that changes with the images or targets."""
        ...


class AugmentedSamples:
    """Reads a sample and changes it at random: a function of (seed, epoch, sample)."""

    def __init__(self, images: AnnotatedImages, augmentation: Transform, *, seed: int) -> None:
        self.images = images
        self.augmentation = augmentation
        self.seed = seed

    def __call__(self, draw: Draw) -> Sample:
        with torchs_randomness(seed_of(self.seed, draw.epoch, draw.sample)):
            return self.augmentation(self.images.read(draw.sample))


class PresentedSamples:
    """Reads a sample and shows it as it is."""

    def __init__(self, images: AnnotatedImages, presentation: Transform) -> None:
        self.images = images
        self.presentation = presentation

    def __call__(self, draw: Draw) -> Sample:
        return self.presentation(self.images.read(draw.sample))


def collate_detection(samples: list[Sample]) -> DetectionBatch:
    """Images in one tensor, their objects in lists."""
    return DetectionBatch(
        torch.stack([sample["image"] for sample in samples]),
        [sample["boxes_xyxy"] for sample in samples],
        [sample["label"] for sample in samples],
        [sample["is_difficult"] for sample in samples],
    )


def collate_segmentation(samples: list[Sample]) -> SegmentationBatch:
    """Images and masks of one size."""
    image = torch.stack([sample["image"] for sample in samples])
    return SegmentationBatch(image, torch.stack([sample["mask"] for sample in samples]).long())


class AnnotatedImagesDataModule(LightningDataModule, ABC, Generic[BatchT]):
    """Loaders over three splits of annotated images.

    Args:
        batch_size: samples of one process in a step.
        num_workers: processes that make batches; 0 makes them in the training process.
        seed: of the order and of the augmentation, each a function of (seed, epoch, sample).
        on_error: `raise` ends at the first sample that cannot be read, `skip` leaves a few out.
        collate, augmentation, presentation: what makes batches of samples, and samples of files.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError,
        collate: Callable[[list[Sample]], BatchT],
        augmentation: Transform,
        presentation: Transform,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.on_error: OnError = on_error
        self.collate = collate
        self.augmentation = augmentation
        self.presentation = presentation
        self.splits: dict[str, AnnotatedImages] | None = None

    @abstractmethod
    def read_splits(self) -> dict[str, AnnotatedImages]:
        """The images of `train`, `val` and `test`, each in a fixed order."""

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their indices."""

    @abstractmethod
    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented batches; its annotation says of which kind."""

    def setup(self, stage: str) -> None:
        if self.splits is None:
            self.splits = self.read_splits()

    def fingerprint(self) -> str:
        """A hash over every split."""
        return " ".join(f"{name}:{images.fingerprint()[:16]}" for name, images in self._splits().items())

    def training_batches(self) -> DataLoader[BatchT]:
        """What `train_dataloader` returns."""
        images = self._splits()["train"]
        samples = SamplesOneByOne(
            len(images), AugmentedSamples(images, self.augmentation, seed=self.seed), self.collate
        )
        order = training_order(self.trainer, len(images), batch_size=self.batch_size, seed=self.seed)
        return training_loader(samples, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[BatchT]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[BatchT]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[BatchT]:
        """Every image of a split once, without augmentation."""
        images = self._splits()[split]
        samples = SamplesOneByOne(len(images), PresentedSamples(images, self.presentation), self.collate)
        return evaluation_loader(
            samples, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[SizedImageBatch]:
        """A user's pictures in the order given, one to a batch."""
        files = PictureFiles(paths, self.presentation)
        return evaluation_loader(files, self.trainer, batch_size=1, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some pictures of a split, evenly spread over it, written into a folder as they are stored."""
        images = self._splits()[split]
        files = []
        for index in evenly_spread(count, of=len(images)):
            files.append(folder / f"{split}-{index}.png")
            to_pil_image(images.read(index)["image"]).save(files[-1])
        return files

    def _splits(self) -> dict[str, AnnotatedImages]:
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits
