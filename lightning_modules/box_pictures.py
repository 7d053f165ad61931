"""Detected objects as plain values and as pictures."""

from pathlib import Path
from typing import TypedDict

from PIL import Image, ImageDraw, ImageFont, ImageOps

# Of one lightness, told apart by their hue; classes beyond their number begin again.
_COLOURS = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (245, 130, 48), (145, 30, 180), (0, 150, 150), (240, 50, 230),
    (128, 128, 0), (170, 110, 40), (70, 70, 230),
)  # fmt: skip
_SMALLEST_SIDE = 480

_Rectangle = tuple[float, float, float, float]


class DetectedObject(TypedDict):
    """The index of a class, how probable it is, and the box in pixels of the file."""

    label: int
    score: float
    box_xyxy: list[float]


def draw_boxes(file: Path, objects: list[DetectedObject], class_names: list[str], *, least_score: float) -> Image.Image:
    """An image file with a box, a class and a score for each object that is sure enough; small files are enlarged."""
    with Image.open(file) as picture:
        canvas = ImageOps.exif_transpose(picture).convert("RGB")
    scale = max(1, round(_SMALLEST_SIDE / max(canvas.size)))
    canvas = canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    stroke = max(2, max(canvas.size) // 250)
    font = ImageFont.load_default(size=max(12, max(canvas.size) // 35))
    shown = sorted((found for found in objects if found["score"] >= least_score), key=lambda found: found["score"])
    labels: list[tuple[_Rectangle, str, tuple[int, int, int]]] = []
    # The surest is drawn last, on top, but is the first to choose where its label goes.
    for found in shown:
        left, top, right, bottom = _scaled(found, scale)
        outline = (left, top, max(left, right - 1), max(top, bottom - 1))
        draw.rectangle(outline, outline=_colour(found), width=stroke)
    for found in reversed(shown):
        text = f"{class_names[found['label']]} {found['score']:.2f}"
        _, _, width, height = draw.textbbox((0, 0), text, font=font)
        size = (float(width + 2 * stroke), float(height + stroke))
        place = _label_place(_scaled(found, scale), size, canvas.size, taken=[taken for taken, _, _ in labels])
        labels.append((place, text, _colour(found)))
    for (left, top, right, bottom), text, colour in reversed(labels):
        draw.rectangle((left, top, right, bottom), fill=colour)
        draw.text((left + stroke, top), text, fill=(255, 255, 255), font=font)
    return canvas


def _colour(found: DetectedObject) -> tuple[int, int, int]:
    return _COLOURS[found["label"] % len(_COLOURS)]


def _scaled(found: DetectedObject, scale: int) -> _Rectangle:
    left, top, right, bottom = found["box_xyxy"]
    return scale * left, scale * top, scale * right, scale * bottom


def _label_place(
    box_xyxy: _Rectangle, size: tuple[float, float], canvas: tuple[int, int], *, taken: list[_Rectangle]
) -> _Rectangle:
    """Above the box, else inside its top, below it, or inside its bottom: the first of them that is free.

    Never beyond the picture's edges. Where none is free, the first that the picture has room for.
    """
    left, top, _, bottom = box_xyxy
    width, height = size
    x = max(0.0, min(left, canvas[0] - width))
    places = [(x, y, x + width, y + height) for y in (top - height, top, bottom, bottom - height)]
    within = [place for place in places if place[1] >= 0 and place[3] <= canvas[1]] or [(x, 0.0, x + width, height)]
    return next((place for place in within if not any(_overlap(place, other) for other in taken)), within[0])


def _overlap(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
