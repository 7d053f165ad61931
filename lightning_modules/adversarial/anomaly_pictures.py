"""Anomalies as plain values and as pictures."""

from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lightning_modules.adversarial.verdict import Verdict

_SIDE = 224
_FOOT = 28
_PAPER = (255, 255, 255)
_INK = (30, 30, 30)
_HEAT = (255, 64, 0)
# Values lie between -1 and 1.
_LARGEST_DIFFERENCE = 2.0


class AnomalyPrediction(TypedDict):
    """A score, its two terms, the nearest image that the generator makes (0 to 255), and where they differ (0 to 1)."""

    score: float
    residual: float
    discrimination: float
    reconstruction: list[list[list[int]]]
    heat: list[list[float]]


def predictions_of(verdict: Verdict) -> list[AnomalyPrediction]:
    """A verdict of a batch, image by image."""
    # Channels last, as pictures have them.
    shown = ((verdict.reconstruction + 1) * 127.5).round().clamp(0, 255).long().permute(0, 2, 3, 1)
    heat = (verdict.heat / _LARGEST_DIFFERENCE).clamp(0, 1)
    numbers = (verdict.score, verdict.residual, verdict.discrimination)
    return [
        AnomalyPrediction(
            score=score,
            residual=residual,
            discrimination=discrimination,
            reconstruction=pixels,
            heat=[[round(value, 3) for value in row] for row in rows],
        )
        for score, residual, discrimination, pixels, rows in zip(
            *(number.tolist() for number in numbers), shown.tolist(), heat.tolist(), strict=True
        )
    ]


def draw_anomaly(file: Path, prediction: AnomalyPrediction) -> Image.Image:
    """The file, the nearest image that the generator makes, and the file with their difference in red."""
    with Image.open(file) as picture:
        original = _enlarged(picture.convert("RGB"))
    pixels = np.array(prediction["reconstruction"], dtype=np.uint8)
    nearest = _enlarged(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB"))
    opacity = Image.fromarray((np.array(prediction["heat"]) * 255).round().astype(np.uint8)).resize(original.size)
    heated = Image.composite(Image.new("RGB", original.size, _HEAT), original, opacity)
    canvas = Image.new("RGB", (3 * _SIDE, _SIDE + _FOOT), _PAPER)
    for column, image in enumerate((original, nearest, heated)):
        canvas.paste(image, (column * _SIDE, 0))
    words = ("image", "nearest the generator makes", f"difference, score {prediction['score']:.3g}")
    for column, word in enumerate(words):
        place = ((column + 0.5) * _SIDE, _SIDE + _FOOT / 2)
        ImageDraw.Draw(canvas).text(place, word, fill=_INK, font=ImageFont.load_default(size=14), anchor="mm")
    return canvas


def _enlarged(picture: Image.Image) -> Image.Image:
    return picture.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
