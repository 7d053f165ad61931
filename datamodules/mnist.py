"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges 1998), from the four original files."""

import gzip
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.datasets import MNIST
from torchvision.datasets.utils import calculate_md5

from datamodules.image_tensors import ImageTensorsDataModule, LabelledImages, Splits

VAL_IMAGES = 5_000
MD5 = dict(MNIST.resources)
# What an IDX file of bytes begins with: two zeros, the code of the type, the number of axes.
_UNSIGNED_BYTES = b"\x00\x00\x08"


class MNISTDataModule(ImageTensorsDataModule):
    """55,000 training, 5,000 validation (the last of the training file) and the 10,000 test images.

    Args:
        data_dir: holds `mnist/*.gz`, the four original files, or receives them as torchvision's `MNIST/raw/*.gz`.
        batch_size, num_workers, seed, num_classes, in_channels, image_size, degrees, translate, scale, classes, mean,
            std: see `ImageTensorsDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str,
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
        self.data_dir = Path(data_dir)
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            degrees=degrees,
            translate=translate,
            scale=scale,
            classes=classes,
            mean=mean,
            std=std,
        )

    def prepare_data(self) -> None:
        """Download the files where they are missing.

        Raises:
            FileNotFoundError: there are no files and no network.
        """
        if self._folder() is not None:
            return
        try:
            MNIST(self.data_dir, download=True)
        except (RuntimeError, URLError, OSError) as error:
            raise FileNotFoundError(
                f"no MNIST in {self.data_dir} and no download ({str(error).splitlines()[0]}); put {', '.join(MD5)} into"
                f" {self.data_dir / 'mnist'}, or set FIRSTHAND_DATA to the folder that holds mnist/"
            ) from error

    def read_splits(self) -> Splits:
        folder = self._folder()
        if folder is None:
            raise FileNotFoundError(f"no MNIST in {self.data_dir}; put {', '.join(MD5)} into {self.data_dir / 'mnist'}")
        train = read_labelled_images(folder, prefix="train")
        test = read_labelled_images(folder, prefix="t10k")
        return Splits(
            LabelledImages(train.image[:-VAL_IMAGES], train.label[:-VAL_IMAGES]),
            LabelledImages(train.image[-VAL_IMAGES:], train.label[-VAL_IMAGES:]),
            test,
        )

    def mean_and_std(self) -> tuple[float, float]:
        return 0.1307, 0.3081

    @property
    def native_size(self) -> int:
        return 28

    def _folder(self) -> Path | None:
        folders = (self.data_dir / "mnist", self.data_dir / "MNIST" / "raw")
        return next((folder for folder in folders if all((folder / name).is_file() for name in MD5)), None)


def read_labelled_images(folder: Path, *, prefix: str) -> LabelledImages:
    """One of the set's two pairs of files, `train` or `t10k`.

    Raises:
        ValueError: a file is damaged, or there is not a label for every image.
    """
    image = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    label = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    if len(image) != len(label):
        raise ValueError(f"{folder} has {len(image)} {prefix} images but {len(label)} labels; fetch the files again")
    return LabelledImages(torch.from_numpy(image)[:, None], torch.from_numpy(label).long())


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format (http://yann.lecun.com/exdb/mnist/, section "file formats").

    Raises:
        ValueError: the checksum is not the original file's, or the header does not fit the content.
    """
    if (md5 := calculate_md5(path)) != MD5.get(path.name, md5):
        raise ValueError(f"{path} is damaged: its md5 is {md5}, the original's {MD5[path.name]}; fetch it again")
    with gzip.open(path) as file:
        content = file.read()
    num_axes = content[3]
    if content[:3] != _UNSIGNED_BYTES:
        raise ValueError(f"{path} does not begin like an IDX file of bytes; fetch it again")
    shape = np.frombuffer(content, dtype=">u4", count=num_axes, offset=4).astype(int)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * num_axes)
    if values.size != shape.prod():
        raise ValueError(f"{path} announces {shape.prod()} values and holds {values.size}; fetch it again")
    return values.reshape(shape).copy()
