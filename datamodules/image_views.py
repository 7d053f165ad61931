"""What a network sees of photographs: the middle of each, or in training a random part of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datamodules.batches import ImageBatch
from datamodules.image_files import read_image
from datamodules.loading import Draw
from datamodules.unreadable import users_file

View = Callable[[UInt8[Tensor, "C h w"]], Float[Tensor, "C H W"]]


class CentralSquare(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """The middle of an image: a square whose side is a fraction of the shorter side."""

    def __init__(self, fraction: float) -> None:
        super().__init__()
        self.fraction = fraction

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """See the class; what torchvision calls for each image."""
        side = _side_of_square(*inpt.shape[-2:], fraction=self.fraction)
        return F.center_crop(inpt, [side, side])


def evaluation_view(*, image_size: int, center_crop_fraction: float, mean: list[float], std: list[float]) -> View:
    """The middle square, scaled and normalised.

    ImageNet's networks are evaluated so, by resizing to 256 pixels and keeping the middle 224. Cropping first gives the
    same up to rounding, and does not unfold a panorama of 10 x 100,000 pixels.
    """
    size = [image_size, image_size]
    view: View = v2.Compose(
        [CentralSquare(center_crop_fraction), v2.Resize(size, antialias=True), *_normalised(mean, std)]
    )
    return view


def training_view(
    *,
    image_size: int,
    center_crop_fraction: float,
    mean: list[float],
    std: list[float],
    min_crop_area: float,
    flip_probability: float,
    color_jitter: float,
) -> View:
    """A random part, mirrored and recoloured at random; draws from torch's own generator."""
    size = [image_size, image_size]
    steps: list[v2.Transform] = [CentralSquare(center_crop_fraction), v2.Resize(size, antialias=True)]
    if min_crop_area < 1:
        steps = [v2.RandomResizedCrop(size, scale=(min_crop_area, 1.0), antialias=True)]
    steps.append(v2.RandomHorizontalFlip(flip_probability))
    if color_jitter > 0:
        steps.append(v2.ColorJitter(color_jitter, color_jitter, color_jitter))
    view: View = v2.Compose([*steps, *_normalised(mean, std)])
    return view


def _normalised(mean: list[float], std: list[float]) -> list[v2.Transform]:
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]


def _side_of_square(height: int, width: int, *, fraction: float) -> int:
    return max(1, round(fraction * min(height, width)))


class UsersImages:
    """Image files from anywhere, shown as in evaluation, with the part of each that is seen."""

    def __init__(self, paths: Sequence[Path], view: View, *, in_channels: int, fraction: float) -> None:
        self.paths = list(paths)
        self.view = view
        self.in_channels = in_channels
        self.fraction = fraction

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> ImageBatch:
        images, seen = zip(*(self._read(self.paths[draw.sample]) for draw in draws), strict=True)
        return ImageBatch(torch.stack(images), torch.stack(seen))

    def _read(self, path: Path) -> tuple[Float[Tensor, "C H W"], Float[Tensor, " 4"]]:
        with users_file(path):
            image = read_image(path, in_channels=self.in_channels)
        height, width = image.shape[-2:]
        margin = _side_of_square(height, width, fraction=self.fraction) / 2
        seen = [0.5 - margin / width, 0.5 - margin / height, 0.5 + margin / width, 0.5 + margin / height]
        return self.view(image), torch.tensor(seen)
