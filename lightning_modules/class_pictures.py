"""Predicted classes as plain values and as pictures, for every classifier of images."""

from pathlib import Path
from typing import TypedDict

import numpy as np
from jaxtyping import Float, Int64
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

_PICTURE_SIDE = 224
_PANEL_WIDTH = 260
_ROW_HEIGHT = 36
_INK = (30, 30, 30)
_BAR = (66, 133, 244)
_PAPER = (255, 255, 255)
_HEAT = (255, 64, 0)
# Of a place with all the evidence; some of the picture shows through.
_HEAT_OPACITY = 0.65
# Class names stand beside a matrix of up to this many classes, numbers in its cells.
_LARGEST_MATRIX_WITH_TEXT = 30


class ClassProbability(TypedDict):
    """The index of a class and how probable it is."""

    label: int
    probability: float


class ImagePrediction(TypedDict):
    """The most probable classes of an image, and where the first of them is seen.

    `evidence` has rows of places of the part `seen_xyxy` of the file (fractions of width and height), from 0 to 1.
    """

    classes: list[ClassProbability]
    evidence: list[list[float]] | None
    seen_xyxy: list[float]


def most_probable_classes(probability: Float[Tensor, "B K"], *, count: int) -> list[list[ClassProbability]]:
    """For each sample up to `count` classes, the most probable first."""
    top = probability.topk(min(count, probability.shape[1]), dim=1)
    return [
        [ClassProbability(label=label, probability=value) for label, value in zip(labels, values, strict=True)]
        for labels, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def draw_classification(file: Path, prediction: ImagePrediction, class_names: list[str]) -> Image.Image:
    """An image file, the same with the evidence for its class in red, and a bar for each predicted class."""
    with Image.open(file) as picture:
        original = ImageOps.exif_transpose(picture).convert("RGB")
    shown = [_fitted(original)]
    if prediction["evidence"] is not None:
        shown.append(_overlaid(shown[0], prediction["evidence"], prediction["seen_xyxy"]))
    canvas = Image.new("RGB", (_PICTURE_SIDE * len(shown) + _PANEL_WIDTH, _PICTURE_SIDE), _PAPER)
    for column, image in enumerate(shown):
        left = column * _PICTURE_SIDE + (_PICTURE_SIDE - image.width) // 2
        canvas.paste(image, (left, (_PICTURE_SIDE - image.height) // 2))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for row, entry in enumerate(prediction["classes"]):
        left, top = canvas.width - _PANEL_WIDTH + 14, 12 + row * (_ROW_HEIGHT + 4)
        length = round((_PANEL_WIDTH - 28) * entry["probability"])
        draw.text((left, top), f"{class_names[entry['label']]}", fill=_INK, font=font)
        draw.text((canvas.width - 14, top), f"{entry['probability']:.1%}", fill=_INK, font=font, anchor="ra")
        draw.rectangle((left, top + 22, left + length, top + 28), fill=_BAR)
    return canvas


def _fitted(picture: Image.Image) -> Image.Image:
    # Tiny pictures keep their pixels sharp, photographs are smoothed.
    resampling = Image.Resampling.NEAREST if max(picture.size) < _PICTURE_SIDE else Image.Resampling.LANCZOS
    scale = _PICTURE_SIDE / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), resampling)


def _overlaid(picture: Image.Image, evidence: list[list[float]], seen_xyxy: list[float]) -> Image.Image:
    """The picture with heat where the evidence is; none outside of what the network saw."""
    x_min, y_min, x_max, y_max = seen_xyxy
    left, right = round(x_min * picture.width), max(round(x_max * picture.width), round(x_min * picture.width) + 1)
    top, bottom = round(y_min * picture.height), max(round(y_max * picture.height), round(y_min * picture.height) + 1)
    opacity = Image.fromarray((np.array(evidence) * 255 * _HEAT_OPACITY).round().astype(np.uint8))
    mask = Image.new("L", picture.size)
    mask.paste(opacity.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return Image.composite(Image.new("RGB", picture.size, _HEAT), picture, mask)


def draw_confusion_matrix(count: Int64[Tensor, "K K"], class_names: list[str]) -> Image.Image:
    """Of each true class (row), which share was taken for which class (column): the darker the more."""
    num_classes = len(class_names)
    with_text = num_classes <= _LARGEST_MATRIX_WITH_TEXT
    cell = 56 if with_text else max(1, 900 // num_classes)
    font = ImageFont.load_default(size=14)
    # Names, and above those of the columns what they are.
    margin = round(max(font.getlength(name) for name in class_names)) + 44 if with_text else 20
    side = margin + num_classes * cell + 20
    canvas = Image.new("RGB", (side, side), _PAPER)
    draw = ImageDraw.Draw(canvas)
    share = (count / count.sum(dim=1, keepdim=True).clamp(min=1)).numpy()[:, :, None]
    colours = (np.array(_PAPER) + (np.array(_BAR) - np.array(_PAPER)) * share).round().astype(np.uint8)
    size = (num_classes * cell, num_classes * cell)
    canvas.paste(Image.fromarray(colours).resize(size, Image.Resampling.NEAREST), (margin, margin))
    if with_text:
        draw.text((margin, 4), "predicted", fill=_INK, font=font)
        for index, name in enumerate(class_names):
            middle = margin + (index + 0.5) * cell
            draw.text((margin - 8, middle), name, fill=_INK, font=font, anchor="rm")
            _write_upwards(canvas, name, x=middle, bottom=margin - 8, font=font)
            for column in range(num_classes):
                place = (margin + (column + 0.5) * cell, middle)
                draw.text(place, str(int(count[index, column])), fill=_INK, font=font, anchor="mm")
    return canvas


def _write_upwards(
    canvas: Image.Image, text: str, *, x: float, bottom: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    width = round(font.getlength(text)) + 2
    line = Image.new("RGB", (width, 18), _PAPER)
    ImageDraw.Draw(line).text((1, 9), text, fill=_INK, font=font, anchor="lm")
    canvas.paste(line.rotate(90, expand=True), (round(x) - 9, bottom - width))
