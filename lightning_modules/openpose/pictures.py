"""People as skeletons over a photograph."""

import colorsys
from pathlib import Path
from typing import TypedDict

from PIL import Image, ImageDraw, ImageOps

from lightning_modules.openpose.decoding import Pose
from lightning_modules.openpose.skeleton import JOINTS, LIMBS, REDUNDANT_LIMBS

# Of the picture's longer side.
_LINE_WIDTH = 0.007
_SMALLEST_SIDE = 512


class FoundPerson(TypedDict):
    """(x, y, confidence) of every joint found, by its name, in pixels of the file; `score` orders people."""

    score: float
    joints: dict[str, tuple[float, float, float]]


def person_of_pose(pose: Pose, *, scale: float) -> FoundPerson:
    """A pose as plain values; `scale` is the network's pixels per pixel of the file."""
    # In both a pixel's centre is half a pixel from its corner.
    joints = {
        name: (float((x + 0.5) / scale - 0.5), float((y + 0.5) / scale - 0.5), float(confidence))
        for name, (x, y, confidence) in zip(JOINTS, pose.joints, strict=True)
        if confidence > 0
    }
    return FoundPerson(score=pose.score, joints=joints)


def draw_people(file: Path, people: list[FoundPerson]) -> Image.Image:
    """The photograph, each limb in its own colour, the best person drawn last; small pictures are enlarged."""
    with Image.open(file) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
    zoom = max(1, round(_SMALLEST_SIDE / max(picture.size)))
    picture = picture.resize((picture.width * zoom, picture.height * zoom))
    draw = ImageDraw.Draw(picture)
    width = max(2, round(_LINE_WIDTH * max(picture.size)))
    for person in sorted(people, key=lambda found: found["score"]):
        at = {name: ((x + 0.5) * zoom - 0.5, (y + 0.5) * zoom - 0.5) for name, (x, y, _) in person["joints"].items()}
        for index, limb in enumerate(LIMBS):
            start, end = JOINTS[limb.start], JOINTS[limb.end]
            if index not in REDUNDANT_LIMBS and start in at and end in at:
                draw.line((at[start], at[end]), fill=_colour(index), width=width)
        for name, (x, y) in at.items():
            box = (x - width, y - width, x + width, y + width)
            draw.ellipse(box, fill="white", outline=_colour(JOINTS.index(name)))
    return picture


def _colour(index: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index / len(LIMBS), 1.0, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)
