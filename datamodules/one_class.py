"""Normal images of some classes to train on; for evaluation also unseen classes, and normal images with a stain."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64, UInt8
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batches import VOID, AnomalyBatch, ImageBatch
from datamodules.digits import DigitsDataModule
from datamodules.image_tensors import LabelledImages, Normalisation, TrainingImages, normalise, only_classes
from datamodules.loading import Draw, evaluation_loader, training_loader, training_order
from datamodules.mnist import MNISTDataModule
from datamodules.randomness import hash_integers

# The stains are part of the data set, whatever the run's seed: results stay comparable.
_STAIN_SEED = 0
# Their sides, as fractions of an image's.
_STAIN_SIDES = (0.2, 0.35)
_KINDS = {f"{kind.__module__}.{kind.__name__}": kind for kind in (DigitsDataModule, MNISTDataModule)}


class Inspected(NamedTuple):
    """Images to be judged: as bytes, of which kind, anomalous or not, and where."""

    image: UInt8[Tensor, "n C h w"]
    kind: Int64[Tensor, " n"]
    defect: Int64[Tensor, "n h w"]


class NormalImages:
    """A training split: nothing in it is anomalous."""

    def __init__(self, images: TrainingImages, kinds: Sequence[int]) -> None:
        self.images = images
        self.kinds = torch.tensor(kinds)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, draws: list[Draw]) -> AnomalyBatch:
        image, label = self.images.__getitems__(draws)
        nowhere = torch.zeros(len(image), *image.shape[2:], dtype=torch.long)
        return AnomalyBatch(image, self.kinds[label], torch.zeros(len(image), dtype=torch.bool), nowhere, None)


class InspectedImages:
    """An evaluation split, each image with its distance to the nearest one of the training split."""

    def __init__(self, inspected: Inspected, normal: LabelledImages, to: Normalisation) -> None:
        self.inspected = inspected
        self.to = to
        self.normal = normalise(normal.image, self.to).flatten(start_dim=1)

    def __len__(self) -> int:
        return len(self.inspected.kind)

    def __getitems__(self, draws: list[Draw]) -> AnomalyBatch:
        rows = [draw.sample for draw in draws]
        image, kind, defect = (part[rows] for part in self.inspected)
        shown = normalise(image, self.to)
        side = self.to.image_size
        enlarged = torch.nn.functional.interpolate(defect[:, None].float(), size=(side, side), mode="nearest")
        where = enlarged[:, 0].long()
        distance = torch.cdist(shown.flatten(start_dim=1), self.normal).amin(dim=1)
        return AnomalyBatch(shown, kind, (defect > 0).flatten(start_dim=1).any(dim=1), where, distance)


class OneClassDataModule(LightningDataModule):
    """Trains on the normal classes of a set of small images; `val` and `test` ask which images are anomalous.

    Args:
        images: the set, `{"_target_": "datamodules.mnist.MNISTDataModule", ...}`, with all of its classes.
        normal_classes: what is normal.
        images_per_class: of the evaluation splits, so that they are as large as a search at test time can bear.
        num_stained: how many of the normal evaluation images are shown once more with a stain, whose pixels are known.
        num_classes, batch_size, in_channels, image_size: those of `images`.

    Raises:
        ValueError: the set is none of those above, or it has no such classes.
    """

    def __init__(
        self,
        *,
        images: dict[str, Any],
        normal_classes: list[int],
        images_per_class: int,
        num_stained: int,
        num_classes: int,
        batch_size: int,
        in_channels: int,
        image_size: int,
    ) -> None:
        super().__init__()
        if images.get("_target_") not in _KINDS:
            raise ValueError(f"data.images._target_={images.get('_target_')}: choose one of {', '.join(_KINDS)}")
        arguments = {name: value for name, value in images.items() if name != "_target_"}
        self.images = _KINDS[images["_target_"]](**arguments)
        if not normal_classes or not set(normal_classes) < set(range(num_classes)):
            raise ValueError(
                f"data.normal_classes={normal_classes}: name some, not all, of the classes 0 to {num_classes - 1}"
            )
        self.normal_classes = normal_classes
        self.images_per_class = images_per_class
        self.num_stained = num_stained
        self.num_classes = num_classes
        self.batch_size = batch_size
        self.in_channels = in_channels
        self.image_size = image_size

    @property
    def class_names(self) -> list[str]:
        """Names of the kinds of images: the set's classes, then what is stained."""
        return [*self.images.class_names, "stained"]

    def prepare_data(self) -> None:
        """See the set."""
        self.images.prepare_data()

    def setup(self, stage: str) -> None:
        """See the set."""
        self.images.setup(stage)

    def fingerprint(self) -> str:
        """A hash over the set and over what is made of it."""
        made = (self.normal_classes, self.images_per_class, self.num_stained)
        return hashlib.sha256(f"{self.images.fingerprint()} {made}".encode()).hexdigest()

    def train_dataloader(self) -> DataLoader[AnomalyBatch]:
        data = self.images
        training = TrainingImages(self._normal(), data.normalisation, data.jitter, seed=data.seed)
        dataset = NormalImages(training, self.normal_classes)
        order = training_order(self.trainer, len(dataset), batch_size=self.batch_size, seed=data.seed)
        return training_loader(dataset, order, num_workers=data.num_workers)

    def val_dataloader(self) -> DataLoader[AnomalyBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[AnomalyBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[AnomalyBatch]:
        """Every image of a split once, as it is."""
        split_images: LabelledImages = getattr(self._read(), split)
        inspected = inspect(
            split_images,
            normal_classes=self.normal_classes,
            images_per_class=self.images_per_class,
            num_stained=self.num_stained,
            kind_of_stained=self.num_classes,
        )
        dataset = InspectedImages(inspected, self._normal(), self.images.normalisation)
        return evaluation_loader(dataset, self.trainer, batch_size=self.batch_size, num_workers=self.images.num_workers)

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[ImageBatch]:
        """Batches of image files in the order given."""
        return self.images.files_dataloader(paths)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some images of the set, normal or not."""
        return self.images.sample_files(split, count=count, folder=folder)

    def _normal(self) -> LabelledImages:
        return only_classes(self._read().train, self.normal_classes)

    def _read(self) -> Any:
        assert self.images.splits is not None, "setup() comes before the loaders"
        return self.images.splits


def inspect(
    split: LabelledImages,
    *,
    normal_classes: list[int],
    images_per_class: int,
    num_stained: int,
    kind_of_stained: int,
) -> Inspected:
    """The first images of every class and some of the normal ones with a stain, all kinds in turn.

    Nobody can say which pixels make a 2 no 7: all of an unseen class's are `VOID`.
    """
    classes = sorted(set(split.label.tolist()))
    chosen = torch.cat([torch.nonzero(split.label == label)[:images_per_class, 0] for label in classes])
    is_normal = torch.isin(split.label[chosen], torch.tensor(normal_classes))
    image, kind = split.image[chosen], split.label[chosen]
    defect = torch.where(is_normal[:, None, None], 0, VOID).expand(-1, *image.shape[2:])
    stained, where = stain(image[is_normal][:: max(1, int(is_normal.sum()) // max(1, num_stained))][:num_stained])
    kind = torch.cat([kind, torch.full((len(stained),), kind_of_stained)])
    order = kinds_in_turn(kind)
    return Inspected(torch.cat([image, stained])[order], kind[order], torch.cat([defect, where])[order])


def kinds_in_turn(kind: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """An order in which a few batches have some of all kinds, also where not the whole split is shown."""
    is_of_kind = kind[:, None] == kind.unique()[None]  # type: ignore[no-untyped-call]
    turn: Tensor = (is_of_kind.cumsum(dim=0) * is_of_kind).sum(dim=1)
    return turn.argsort(stable=True)


def stain(image: UInt8[Tensor, "n C h w"]) -> tuple[UInt8[Tensor, "n C h w"], Int64[Tensor, "n h w"]]:
    """Images with a square of inverted grey values, and where that is; the same ones at every call."""
    side = image.shape[-1]
    stained, where = image.clone(), torch.zeros(len(image), *image.shape[2:], dtype=torch.long)
    low, high = (round(side * fraction) for fraction in _STAIN_SIDES)
    for row in range(len(image)):
        size = low + int(hash_integers(_STAIN_SEED, row, 0)[0] % (high - low + 1))
        top, left = (int(hash_integers(_STAIN_SEED, row, axis)[0] % (side - size + 1)) for axis in (1, 2))
        place = (slice(top, top + size), slice(left, left + size))
        stained[row][(slice(None), *place)] = 255 - stained[row][(slice(None), *place)]
        where[row][place] = 1
    return stained, where
