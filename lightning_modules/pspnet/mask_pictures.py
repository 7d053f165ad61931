"""Predicted masks as plain values and as pictures."""

from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Int64
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import InterpolationMode, pil_to_tensor, resize, to_pil_image
from torchvision.utils import draw_segmentation_masks

_PICTURE_SIDE = 500
_PANEL_WIDTH = 210
_ROW_HEIGHT = 26
_SWATCH = 16
_INK = (30, 30, 30)
_PAPER = (255, 255, 255)
# What nothing else claims is shown as it is.
_BACKGROUND = "background"


class PredictedMask(TypedDict):
    """The class of every pixel, row by row: `runs` are pairs of a class's index and how many pixels it lasts."""

    height: int
    width: int
    runs: list[list[int]]


def describe_mask(mask: Int64[Tensor, "H W"]) -> PredictedMask:
    """A mask as plain values."""
    labels, lengths = torch.unique_consecutive(mask.flatten(), return_counts=True)
    runs = [[label, length] for label, length in zip(labels.tolist(), lengths.tolist(), strict=True)]
    return PredictedMask(height=mask.shape[0], width=mask.shape[1], runs=runs)


def without_filling(mask: Int64[Tensor, "h w"], height: int, width: int) -> Int64[Tensor, "h2 w2"]:
    """The part of a mask that shows a file of a size in pixels, which is filled up to the right or below."""
    scale = max(mask.shape) / max(height, width)
    return mask[: max(1, round(height * scale)), : max(1, round(width * scale))]


def resize_mask(mask: Int64[Tensor, "h w"], *, height: int, width: int) -> Int64[Tensor, "H W"]:
    """Every pixel gets the class of the nearest."""
    resized: Tensor = resize(mask[None], [height, width], interpolation=InterpolationMode.NEAREST_EXACT)
    return resized[0]


def restore_mask(prediction: PredictedMask) -> Int64[Tensor, "H W"]:
    """What `describe_mask` was given."""
    labels, lengths = torch.tensor(prediction["runs"]).T
    mask: Tensor = labels.repeat_interleave(lengths).unflatten(0, (prediction["height"], prediction["width"]))
    return mask


def draw_mask(file: Path, prediction: PredictedMask, class_names: list[str]) -> Image.Image:
    """An image file tinted by class, and beside it the classes with their part of the pixels, the largest first.

    A photograph is turned as its camera was held.
    """
    with Image.open(file) as picture:
        shown = ImageOps.exif_transpose(picture).convert("RGB")
    scale = _PICTURE_SIDE / max(shown.size)
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))))
    mask = restore_mask(prediction)
    is_class = (
        resize_mask(mask, height=shown.height, width=shown.width) == torch.arange(len(class_names))[:, None, None]
    )
    tinted = [label for label, name in enumerate(class_names) if name != _BACKGROUND]
    overlay = draw_segmentation_masks(
        pil_to_tensor(shown), is_class[tinted], alpha=0.5, colors=[class_colour(label) for label in tinted]
    )
    parts = torch.bincount(mask.flatten(), minlength=len(class_names)) / mask.numel()
    present = [label for label in parts.argsort(descending=True, stable=True).tolist() if parts[label] > 0]

    height = max(shown.height, 2 * _ROW_HEIGHT + _ROW_HEIGHT * len(present))
    canvas = Image.new("RGB", (shown.width + _PANEL_WIDTH, height), _PAPER)
    canvas.paste(to_pil_image(overlay), (0, 0))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for row, label in enumerate(present):
        left, top = shown.width + 14, 12 + row * _ROW_HEIGHT
        colour = _PAPER if class_names[label] == _BACKGROUND else class_colour(label)
        draw.rectangle((left, top, left + _SWATCH, top + _SWATCH), fill=colour, outline=_INK)
        draw.text((left + _SWATCH + 10, top - 1), class_names[label], fill=_INK, font=font)
        draw.text((canvas.width - 14, top - 1), f"{parts[label]:.1%}", fill=_INK, font=font, anchor="ra")
    return canvas


def class_colour(label: int) -> tuple[int, int, int]:
    """PASCAL VOC's colour of a class: the bits of its index, dealt out to red, green and blue, the highest first."""
    red = green = blue = 0
    for bit in range(8):
        triple = label >> (3 * bit)
        red |= (triple & 1) << (7 - bit)
        green |= (triple >> 1 & 1) << (7 - bit)
        blue |= (triple >> 2 & 1) << (7 - bit)
    return red, green, blue
