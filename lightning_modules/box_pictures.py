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
    # The surest is drawn last, on top.
    for found in sorted(objects, key=lambda entry: entry["score"]):
        if found["score"] < least_score:
            continue
        colour = _COLOURS[found["label"] % len(_COLOURS)]
        left, top, right, bottom = (scale * value for value in found["box_xyxy"])
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=stroke)
        text = f"{class_names[found['label']]} {found['score']:.2f}"
        _, _, width, height = draw.textbbox((0, 0), text, font=font)
        # Above the box where there is room, else inside; never beyond the right edge.
        x = max(0, min(left, canvas.width - width - 2 * stroke))
        y = top - height - stroke if top >= height + stroke else top
        draw.rectangle((x, y, x + width + 2 * stroke, y + height + stroke), fill=colour)
        draw.text((x + stroke, y), text, fill=(255, 255, 255), font=font)
    return canvas
