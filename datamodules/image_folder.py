"""A folder of images of your own, sorted into class folders (the layout of torchvision's ImageFolder)."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batches import ImageBatch, ImageClassificationBatch
from datamodules.class_folders import LabelledFile, class_names_in, files_by_split
from datamodules.image_files import read_image
from datamodules.image_views import UsersImages, View, evaluation_view, training_view
from datamodules.loading import (
    Draw,
    SamplesOneByOne,
    evaluation_loader,
    evenly_spread,
    training_loader,
    training_order,
)
from datamodules.randomness import seed_of, torchs_randomness
from datamodules.unreadable import OnError

LabelledImage = tuple[Float[Tensor, "C H W"], int]


class FilesAsSamples:
    """Reads a file as drawn; what its view draws is a function of (seed, epoch, sample)."""

    def __init__(self, file_of: Callable[[Draw], LabelledFile], view: View, *, in_channels: int, seed: int) -> None:
        self.file_of = file_of
        self.view = view
        self.in_channels = in_channels
        self.seed = seed

    def __call__(self, draw: Draw) -> LabelledImage:
        file = self.file_of(draw)
        image = read_image(file.path, in_channels=self.in_channels)
        with torchs_randomness(seed_of(self.seed, draw.epoch, draw.sample)):
            return self.view(image), file.label


class FilesInOrder:
    """Every file once."""

    def __init__(self, files: Sequence[LabelledFile]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __call__(self, draw: Draw) -> LabelledFile:
        return self.files[draw.sample]


class ClassesInBalance:
    """Of every class as many draws an epoch as the largest has files; those of smaller classes take turns."""

    def __init__(self, files: Sequence[LabelledFile]) -> None:
        labels = sorted({file.label for file in files})
        self.classes = [[file for file in files if file.label == label] for label in labels]
        self.largest = max(map(len, self.classes))

    def __len__(self) -> int:
        return len(self.classes) * self.largest

    def __call__(self, draw: Draw) -> LabelledFile:
        label, turn = divmod(draw.sample, self.largest)
        files = self.classes[label]
        return files[(draw.epoch * self.largest + turn) % len(files)]


def collate(samples: list[LabelledImage]) -> ImageClassificationBatch:
    """A batch of images of equal size."""
    images, labels = zip(*samples, strict=True)
    return ImageClassificationBatch(torch.stack(images), torch.tensor(labels))


class ImageFolderDataModule(LightningDataModule):
    """Images of class folders, or of `train/`, `val/` and `test/` that hold them; see `files_by_split`.

    Args:
        folder: see `class_names_in`.
        class_names: of the class folders, sorted, which conf/data/image_folder.yaml reads from the folder; None takes
            the folder's, whatever they are.
        num_classes: how many those are.
        in_channels: 3 reads colours, 1 grey values.
        image_size: side in pixels of what the network sees.
        center_crop_fraction: side of the middle square that evaluation shows, as a fraction of the shorter side.
        mean, std: of each channel on a scale from 0 to 1; pretrained networks ask for those they were trained with.
        min_crop_area: training shows a random part of at least this area; 1 shows what evaluation shows.
        flip_probability: of mirroring an image in training.
        color_jitter: the largest random change in training of brightness, contrast and saturation, as a fraction.
        balance_classes: whether training shows every class equally often, by repeating images of the smaller ones.
        val_fraction, test_fraction: see `files_by_split`.
        batch_size: samples of one process in a step.
        num_workers: processes that read images; 0 reads them in the training process.
        seed: of the order and the augmentation, each a function of (seed, epoch, sample).
        on_error: whether an image that cannot be read ends the run or is left out.

    Raises:
        ValueError: a value is out of its range, or class names and number of classes disagree.
    """

    def __init__(
        self,
        *,
        folder: str,
        class_names: list[str] | None,
        num_classes: int,
        in_channels: int,
        image_size: int,
        center_crop_fraction: float,
        mean: list[float],
        std: list[float],
        min_crop_area: float,
        flip_probability: float,
        color_jitter: float,
        balance_classes: bool,
        val_fraction: float,
        test_fraction: float,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if in_channels not in (1, 3) or len(mean) != in_channels or len(std) != in_channels:
            raise ValueError(
                f"data.in_channels={in_channels} with data.mean={mean} and data.std={std}: an image has 1 channel or 3,"
                " and a mean and a deviation for each"
            )
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(f"data.num_classes={num_classes}, but data.class_names has {len(class_names)}")
        for name, value in {"center_crop_fraction": center_crop_fraction, "min_crop_area": min_crop_area}.items():
            if not 0 < value <= 1:
                raise ValueError(f"data.{name}={value} is a fraction of an image; choose one above 0, up to 1")
        self.folder = Path(folder)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.center_crop_fraction = center_crop_fraction
        self.balance_classes = balance_classes
        self.fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.on_error = on_error
        self.folder_names = class_names
        self.splits: dict[str, list[LabelledFile]] | None = None
        shown: Any = {
            "image_size": image_size,
            "center_crop_fraction": center_crop_fraction,
            "mean": mean,
            "std": std,
        }
        self.evaluation_view = evaluation_view(**shown)
        self.training_view = training_view(
            **shown, min_crop_area=min_crop_area, flip_probability=flip_probability, color_jitter=color_jitter
        )

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their indices."""
        assert self.folder_names is not None, "setup() comes before the names of a folder that is to be asked"
        return self.folder_names

    def setup(self, stage: str) -> None:
        """List the images of each split, once.

        Raises:
            ValueError: the folder's classes are not those of the configuration; see also `class_folders`.
        """
        if self.splits is not None:
            return
        found = class_names_in(self.folder)
        if len(found) != self.num_classes or self.folder_names not in (None, found):
            expected = ", ".join(self.folder_names or [f"{self.num_classes} of any name"])
            raise ValueError(
                f"{self.folder} has the classes {', '.join(found)}, but the configuration has {expected}; restore the"
                " folder, or start a new run"
            )
        self.folder_names = found
        self.splits = files_by_split(self.folder, found, **self.fractions)

    def fingerprint(self) -> str:
        """A hash over the names, sizes in bytes and classes of every split's files; none is read."""
        digest = hashlib.sha256()
        for split, files in self._listed().items():
            for path, label in files:
                digest.update(f"{split}/{label}/{path.name}/{path.stat().st_size}\n".encode())
        return digest.hexdigest()

    def contents(self) -> dict[str, Any]:
        """The number of images of each class in each split."""
        return {
            split: {self.class_names[label]: count for label, count in sorted(Counter(f.label for f in files).items())}
            for split, files in self._listed().items()
        }

    def train_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        files = self._listed()["train"]
        file_of = ClassesInBalance(files) if self.balance_classes else FilesInOrder(files)
        order = training_order(self.trainer, len(file_of), batch_size=self.batch_size, seed=self.seed)
        dataset = self._samples(len(file_of), file_of, self.training_view)
        return training_loader(dataset, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[ImageClassificationBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[ImageClassificationBatch]:
        """Every image of a split once, as it is."""
        files = self._listed()[split]
        dataset = self._samples(len(files), FilesInOrder(files), self.evaluation_view)
        return evaluation_loader(
            dataset, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[ImageBatch]:
        """Batches of image files in the order given."""
        images = UsersImages(
            paths, self.evaluation_view, in_channels=self.in_channels, fraction=self.center_crop_fraction
        )
        return evaluation_loader(images, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some files of a split, evenly spread over it."""
        files = self._listed()[split]
        return [files[index].path for index in evenly_spread(count, of=len(files))]

    def _samples(
        self, num_samples: int, file_of: Callable[[Draw], LabelledFile], view: View
    ) -> SamplesOneByOne[LabelledImage, ImageClassificationBatch]:
        read = FilesAsSamples(file_of, view, in_channels=self.in_channels, seed=self.seed)
        return SamplesOneByOne(num_samples, read, collate)

    def _listed(self) -> dict[str, list[LabelledFile]]:
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits
