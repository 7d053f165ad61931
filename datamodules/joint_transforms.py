"""What happens to an image happens to its boxes and its mask: augmentation and presentation of annotated images.

A sample is a dict: `image` (tv_tensors.Image, bytes), and either `boxes_xyxy` (tv_tensors.BoundingBoxes) with `label`
and `is_difficult`, a row for each box, or `mask` (tv_tensors.Mask). torchvision's transforms know by these types what
to do with each.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.batches import VOID

Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]


class Presentation(NamedTuple):
    """The form that a network takes: a side in pixels, and `(byte / 255 - mean) / std` for red, green and blue."""

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def mean_colour(self) -> list[float]:
        """The bytes that become zeros."""
        return [255 * value for value in self.mean]


class DetectionAugmentation(NamedTuple):
    """Which of SSD's augmentations are applied.

    Attributes:
        photometric: change brightness, contrast, saturation and hue, and permute the channels, at random.
        zoom_out: the largest side of the canvas in which every second image is placed, in sides of the image; None is
            off.
        iou_crop: cut out a part that overlaps an object by a random least amount.
        flip: mirror every second image.
    """

    photometric: bool
    zoom_out: float | None
    iou_crop: bool
    flip: bool


class SegmentationAugmentation(NamedTuple):
    """Which of PSPNet's augmentations are applied, before a square is cut out of the image.

    Attributes:
        scale: the smallest and largest long side of an image, in sides of the square.
        degrees: the largest rotation to either side; None is off.
        blur: smooth every second image a little.
        flip: mirror every second image.
    """

    scale: tuple[float, float]
    degrees: float | None
    blur: bool
    flip: bool


def detection_presentation(to: Presentation) -> Transform:
    """Squeeze the image to a square, whatever its shape (SSD, https://arxiv.org/abs/1512.02325, section 2)."""
    return _in_turn([v2.Resize((to.image_size, to.image_size), antialias=True), *_normalising(to)])


def detection_augmentation(augmentation: DetectionAugmentation, to: Presentation) -> Transform:
    """SSD's data augmentation (https://arxiv.org/abs/1512.02325, sections 2.2 and 3.6), in the paper's order.

    Objects whose centre a crop leaves outside are dropped, as are those that end smaller than a pixel.
    """
    steps: list[nn.Module] = []
    if augmentation.photometric:
        steps.append(v2.RandomPhotometricDistort())
    if augmentation.zoom_out is not None:
        steps.append(v2.RandomZoomOut(fill=to.mean_colour(), side_range=(1.0, augmentation.zoom_out)))
    if augmentation.iou_crop:
        steps.append(v2.RandomIoUCrop())
    steps.append(v2.Resize((to.image_size, to.image_size), antialias=True))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps.append(v2.SanitizeBoundingBoxes(labels_getter=_rows_of_boxes))
    return _in_turn([*steps, *_normalising(to)])


def segmentation_presentation(to: Presentation) -> Transform:
    """Bring the long side to the square's, and fill up to the right or below with the mean colour and void."""
    return _in_turn([_FitInto(to.image_size), _FillUp(to.image_size, _filling(to)), *_normalising(to)])


def segmentation_augmentation(augmentation: SegmentationAugmentation, to: Presentation) -> Transform:
    """PSPNet's data augmentation (https://arxiv.org/abs/1612.01105, section 5.1); what comes in from beyond is void."""
    square = (to.image_size, to.image_size)
    steps: list[nn.Module] = [v2.ScaleJitter(square, scale_range=augmentation.scale, antialias=True)]
    if augmentation.degrees is not None:
        bilinear = v2.InterpolationMode.BILINEAR
        steps.append(v2.RandomRotation(augmentation.degrees, interpolation=bilinear, fill=_filling(to)))
    if augmentation.blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(kernel_size=5)], p=0.5))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps.append(v2.RandomCrop(square, pad_if_needed=True, fill=_filling(to)))
    return _in_turn([*steps, *_normalising(to)])


@contextmanager
def torchs_randomness(seed: int) -> Iterator[None]:
    """Within, torch's own generator of the CPU starts at a seed; afterwards it is as it was before.

    torchvision's transforms draw from that generator and take no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class _FitInto(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Resize so that the long side has a length."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = v2.functional.get_size(flat_inputs[0])
        scale = self.side / max(height, width)
        return {"size": [max(1, round(height * scale)), max(1, round(width * scale))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return v2.functional.resize(inpt, size=params["size"], antialias=True)


class _FillUp(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Pad to a square on the right and below."""

    def __init__(self, side: int, filling: dict[type, Any]) -> None:
        super().__init__()
        self.side = side
        self.filling = filling

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = v2.functional.get_size(flat_inputs[0])
        return {"padding": [0, 0, self.side - width, self.side - height]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return v2.functional.pad(inpt, padding=params["padding"], fill=self.filling[type(inpt)])


def _in_turn(steps: list[nn.Module]) -> Transform:
    transform: Transform = v2.Compose(steps)
    return transform


def _normalising(to: Presentation) -> list[nn.Module]:
    return [
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean=list(to.mean), std=list(to.std)),
        v2.ToPureTensor(),
    ]


def _filling(to: Presentation) -> dict[type, Any]:
    return {tv_tensors.Image: to.mean_colour(), tv_tensors.Mask: VOID}


def _rows_of_boxes(sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    return sample["label"], sample["is_difficult"]
