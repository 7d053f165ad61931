"""Your own normal images to learn from and anomalous ones to find, in the folders of `anomaly_listing`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import resize

from datamodules.anomaly_listing import AnomalyFiles, InspectedFile, anomaly_files, anomaly_kinds_in
from datamodules.batches import VOID, AnomalyBatch, ImageBatch
from datamodules.image_files import read_image
from datamodules.image_tensors import Jitter, LabelledImages, Normalisation, TrainingImages, normalise
from datamodules.loading import Draw, evaluation_loader, evenly_spread, training_loader, training_order
from datamodules.one_class import Inspected, InspectedImages, NormalImages, kinds_in_turn
from datamodules.unreadable import users_file

# Of a mask; some are stored with losses.
_GREY = 127


class AnomalyFolderDataModule(LightningDataModule):
    """Trains on `train/good` and judges `val` and `test`; all images are kept in memory as bytes, resized to a square.

    10,000 images of 64 pixels in colour take 123 MB.

    Args:
        folder: see `anomaly_kinds_in`.
        kinds: of images, which conf/data/anomaly_folder.yaml reads from the folder.
        num_classes: how many those are.
        in_channels: 3 reads colours, 1 grey values.
        image_size: side in pixels that images are resized to.
        degrees, translate, scale: the largest random rotation, shift (fraction of the side) and change of scale in
            training; what is normal in any direction is learned from fewer images.
        mean, std: what values from 0 to 1 are normalised by; 0.5 and 0.5 bring them to what a generator makes, -1 to 1.
        batch_size: samples of one process in a step.
        seed: of the order and of the random bending, each a function of (seed, epoch, sample).

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        folder: str,
        kinds: list[str],
        num_classes: int,
        in_channels: int,
        image_size: int,
        degrees: float,
        translate: float,
        scale: float,
        mean: float,
        std: float,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if in_channels not in (1, 3):
            raise ValueError(f"data.in_channels={in_channels}: an image has 1 channel or 3; choose 1 or 3")
        if len(kinds) != num_classes:
            raise ValueError(f"data.num_classes={num_classes}, but data.kinds has {len(kinds)}")
        self.folder = Path(folder)
        self.kinds = kinds
        self.batch_size = batch_size
        self.seed = seed
        self.jitter = Jitter(degrees, translate, scale)
        self.normalisation = Normalisation(mean, std, in_channels, image_size)
        self.files: AnomalyFiles | None = None
        self.normal: UInt8[Tensor, "n C H W"] | None = None

    @property
    def class_names(self) -> list[str]:
        """Names of the kinds of images, in the order of their indices."""
        return self.kinds

    def setup(self, stage: str) -> None:
        """List the images and read the normal ones, once.

        Raises:
            ValueError: the folder's kinds are not those of the configuration, or an image cannot be read.
        """
        if self.files is not None:
            return
        found = anomaly_kinds_in(self.folder)
        if found != self.kinds:
            raise ValueError(
                f"{self.folder} has images of the kinds {', '.join(found)}, but the configuration has"
                f" {', '.join(self.kinds)}; restore the folder, or start a new run"
            )
        files = anomaly_files(self.folder, found)
        self.normal = torch.stack([self._read(path) for path in files.train])
        self.files = files

    def fingerprint(self) -> str:
        """A hash over the names and sizes in bytes of all files; none is read."""
        digest = hashlib.sha256()
        files = self._listed()
        for path in files.train:
            digest.update(f"train/{path.name}/{path.stat().st_size}\n".encode())
        for split, inspected in (("val", files.val), ("test", files.test)):
            for path, kind, mask in inspected:
                size_of_mask = mask.stat().st_size if mask is not None else None
                digest.update(f"{split}/{kind}/{path.name}/{path.stat().st_size}/{size_of_mask}\n".encode())
        return digest.hexdigest()

    def train_dataloader(self) -> DataLoader[AnomalyBatch]:
        training = TrainingImages(self._normal(), self.normalisation, self.jitter, seed=self.seed)
        order = training_order(self.trainer, len(training), batch_size=self.batch_size, seed=self.seed)
        return training_loader(NormalImages(training, kinds=[0]), order, num_workers=0)

    def val_dataloader(self) -> DataLoader[AnomalyBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[AnomalyBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[AnomalyBatch]:
        """Every image of a split once, all kinds in turn."""
        dataset = InspectedImages(self._inspect(getattr(self._listed(), split)), self._normal(), self.normalisation)
        return evaluation_loader(dataset, self.trainer, batch_size=self.batch_size, num_workers=0)

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[ImageBatch]:
        """Batches of image files in the order given."""
        dataset = _WholeFiles(paths, self)
        return evaluation_loader(dataset, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some files of a split, evenly spread over it."""
        files = self._listed()
        paths = files.train if split == "train" else [file.path for file in getattr(files, split)]
        return [paths[index] for index in evenly_spread(count, of=len(paths))]

    def shown(self, path: Path) -> Tensor:
        """An image file as the networks take it, (C, H, W)."""
        return normalise(self._read(path)[None], self.normalisation)[0]

    def _inspect(self, files: list[InspectedFile]) -> Inspected:
        image = torch.stack([self._read(file.path) for file in files])
        defect = torch.stack([self._defect(file) for file in files])
        kind = torch.tensor([file.kind for file in files])
        order = kinds_in_turn(kind)
        return Inspected(image[order], kind[order], defect[order])

    def _defect(self, file: InspectedFile) -> Int64[Tensor, "H W"]:
        side = self.normalisation.image_size
        if file.mask is None:
            return torch.full((side, side), VOID if file.kind > 0 else 0)
        is_white = _read(file.mask, in_channels=1) > _GREY
        if not is_white.any():
            raise ValueError(f"{file.mask} marks nothing in {file.path}; repair the mask or remove it")
        # The smallest defect stays one.
        return adaptive_max_pool2d(is_white.float(), side)[0].long()

    def _read(self, path: Path) -> UInt8[Tensor, "C H W"]:
        side = self.normalisation.image_size
        image = _read(path, in_channels=self.normalisation.in_channels)
        resized: Tensor = resize(image, [side, side], antialias=True)
        return resized

    def _normal(self) -> LabelledImages:
        assert self.normal is not None, "setup() comes before the loaders"
        return LabelledImages(self.normal, torch.zeros(len(self.normal), dtype=torch.long))

    def _listed(self) -> AnomalyFiles:
        assert self.files is not None, "setup() comes before the loaders"
        return self.files


def _read(path: Path, *, in_channels: int) -> UInt8[Tensor, "C h w"]:
    with users_file(path):
        return read_image(path, in_channels=in_channels)


class _WholeFiles:
    """Image files from anywhere, shown as in evaluation."""

    def __init__(self, paths: Sequence[Path], data: AnomalyFolderDataModule) -> None:
        self.paths = list(paths)
        self.data = data

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> ImageBatch:
        return ImageBatch(torch.stack([self.data.shown(self.paths[draw.sample]) for draw in draws]))
