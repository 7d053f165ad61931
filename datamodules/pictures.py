"""Picture files: a data set's, and those that a user wants predictions for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision import tv_tensors

from datamodules.batches import SizedImageBatch
from datamodules.joint_transforms import Transform
from datamodules.loading import Draw
from datamodules.unreadable import UnreadableSample


def read_picture(path: Path) -> UInt8[Tensor, "3 H W"]:
    """All pixels of a picture in red, green and blue, as they are stored.

    Raises:
        UnreadableSample: there is no such file, it is no picture, or it is cut off.
    """
    try:
        with Image.open(path) as picture:
            return _pixels(picture)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UnreadableSample(path, _reason(error)) from error


def _pixels(picture: Image.Image) -> UInt8[Tensor, "3 H W"]:
    values = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    image: Tensor = tv_tensors.Image(values.contiguous())
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return f"it cannot be read as a picture ({error})"


class PictureFiles:
    """A user's pictures, one to a batch because their sizes differ, turned as their camera was held."""

    def __init__(self, paths: Sequence[Path], transform: Transform) -> None:
        self.paths = list(paths)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> SizedImageBatch:
        (draw,) = draws
        path = self.paths[draw.sample]
        try:
            with Image.open(path) as picture:
                pixels = _pixels(ImageOps.exif_transpose(picture))
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise ValueError(f"{path}: {_reason(error)}; replace it or leave it out") from error
        image = self.transform({"image": pixels})["image"]
        return SizedImageBatch(image[None], torch.tensor([pixels.shape[-2:]]))
