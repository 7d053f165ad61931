"""Predicted classes as plain values and as pictures, for every classifier of images."""

from pathlib import Path
from typing import TypedDict

from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_PICTURE_SIDE = 224
_PANEL_WIDTH = 260
_ROW_HEIGHT = 36
_INK = (30, 30, 30)
_BAR = (66, 133, 244)
_PAPER = (255, 255, 255)


class ClassProbability(TypedDict):
    """The index of a class and how probable it is."""

    label: int
    probability: float


def most_probable_classes(probability: Float[Tensor, "B K"], *, count: int) -> list[list[ClassProbability]]:
    """For each sample up to `count` classes, the most probable first."""
    top = probability.topk(min(count, probability.shape[1]), dim=1)
    return [
        [ClassProbability(label=label, probability=value) for label, value in zip(labels, values, strict=True)]
        for labels, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def draw_classification(file: Path, prediction: list[ClassProbability], class_names: list[str]) -> Image.Image:
    """An image file, and beside it a bar for each predicted class."""
    with Image.open(file) as picture:
        shown = picture.convert("RGB")
    # Tiny pictures keep their pixels sharp, photographs are smoothed.
    resampling = Image.Resampling.NEAREST if max(shown.size) < _PICTURE_SIDE else Image.Resampling.LANCZOS
    scale = _PICTURE_SIDE / max(shown.size)
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))), resampling)
    canvas = Image.new("RGB", (_PICTURE_SIDE + _PANEL_WIDTH, _PICTURE_SIDE), _PAPER)
    canvas.paste(shown, ((_PICTURE_SIDE - shown.width) // 2, (_PICTURE_SIDE - shown.height) // 2))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for row, entry in enumerate(prediction):
        left, top = _PICTURE_SIDE + 14, 12 + row * (_ROW_HEIGHT + 4)
        length = round((_PANEL_WIDTH - 28) * entry["probability"])
        draw.text((left, top), f"{class_names[entry['label']]}", fill=_INK, font=font)
        draw.text((canvas.width - 14, top), f"{entry['probability']:.1%}", fill=_INK, font=font, anchor="ra")
        draw.rectangle((left, top + 22, left + length, top + 28), fill=_BAR)
    return canvas
