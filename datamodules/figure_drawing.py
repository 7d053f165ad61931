"""Figures of limbs, trunk and head in any posture, drawn over one another, with their keypoints known."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datamodules.coco_annotations import KEYPOINTS

# Lengths as parts of a standing figure's height.
_TRUNK, _SHOULDER, _HIP = 0.30, 0.115, 0.075
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 0.17, 0.16, 0.24, 0.24
_HEAD, _THICKNESS = 0.075, 0.075
# Edges are drawn so many times too large, then averaged.
_OVERSAMPLING = 3
# Right red, left blue: without a difference no one could tell a figure's front from its back. Upper and lower half.
_RIGHT_ARM, _RIGHT_LEG = ((225, 60, 50), (245, 130, 90)), ((170, 25, 70), (120, 20, 40))
_LEFT_ARM, _LEFT_LEG = ((50, 110, 230), (110, 170, 245)), ((30, 40, 150), (20, 60, 90))
_SKIN, _SHIRT, _FEATURES = (240, 200, 160), (90, 160, 90), (40, 30, 30)


class Figure(NamedTuple):
    """A figure's keypoints in COCO's order, in units of the image's side, and its height in the same."""

    keypoints: Float[np.ndarray, "17 2"]
    height: float


class Drawing(NamedTuple):
    """An image, and in each pixel the number of the figure seen there, from 1; 0 is no figure."""

    image: UInt8[np.ndarray, "side side 3"]
    figure: UInt8[np.ndarray, "side side"]


def random_figure(generator: np.random.Generator, *, height: float, middle: Float[np.ndarray, " 2"]) -> Figure:
    """A figure seen from the front, its limbs bent by chance; the middle is that of its trunk."""
    turn = generator.uniform(0.7, 1.0)
    at: dict[str, NDArray[np.float64]] = {}
    head = np.array([generator.uniform(-0.02, 0.02), -0.115])
    for name, (x, y) in {"nose": (0.0, 0.01), "eye": (0.03, -0.02), "ear": (0.072, 0.0)}.items():
        for side, sign in (("right_", -1), ("left_", 1)):
            at[name if name == "nose" else side + name] = np.add(head, (sign * x, y))
    for side, sign in (("right", -1), ("left", 1)):
        shoulder, hip = np.array([sign * _SHOULDER * turn, 0.0]), np.array([sign * _HIP * turn, _TRUNK])
        at[f"{side}_shoulder"], at[f"{side}_hip"] = shoulder, hip
        upper = generator.uniform(-0.2, 2.5)
        at[f"{side}_elbow"] = shoulder + _UPPER_ARM * _direction(sign * upper)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + _FOREARM * _direction(sign * (upper + generator.uniform(-0.5, 1.4)))
        thigh = generator.uniform(-0.1, 0.7)
        at[f"{side}_knee"] = hip + _THIGH * _direction(sign * thigh)
        at[f"{side}_ankle"] = at[f"{side}_knee"] + _SHIN * _direction(sign * (thigh - generator.uniform(-0.1, 0.6)))
    places = np.array([at[name] for name in KEYPOINTS]) - (0, _TRUNK / 2)
    lean = generator.uniform(-0.3, 0.3)
    rotation = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    return Figure(middle + height * places @ rotation.T, height)


def _direction(angle: float) -> NDArray[np.float64]:
    """Down at 0, to the image's right at a quarter turn."""
    return np.array([np.sin(angle), np.cos(angle)])


def draw_scene(
    figures: list[Figure], occluders: Float[np.ndarray, "n 4"], generator: np.random.Generator, *, side: int
) -> Drawing:
    """Figures one over the other, then rectangles (x0, y0, x1, y1 in units of the side) over them all."""
    large = side * _OVERSAMPLING
    image = Image.fromarray(_background(generator, side=side)).resize((large, large), Image.Resampling.BILINEAR)
    numbers = Image.new("L", (large, large))
    for number, figure in enumerate(figures, start=1):
        shade = generator.uniform(0.8, 1.15, size=3)
        _draw_figure(ImageDraw.Draw(image), figure, side=large, shade=shade)
        _draw_figure(ImageDraw.Draw(numbers), figure, side=large, number=number)
    for rectangle in occluders * large:
        colour = tuple(generator.integers(40, 220, size=3).tolist())
        ImageDraw.Draw(image).rectangle(tuple(rectangle), fill=colour)
        ImageDraw.Draw(numbers).rectangle(tuple(rectangle), fill=0)
    pixels = np.array(image.resize((side, side), Image.Resampling.BOX)).astype(np.float64)
    pixels += generator.normal(scale=6, size=pixels.shape)
    middle = slice(_OVERSAMPLING // 2, None, _OVERSAMPLING)
    return Drawing(pixels.clip(0, 255).astype(np.uint8), np.array(numbers)[middle, middle])


def _background(generator: np.random.Generator, *, side: int) -> NDArray[np.uint8]:
    """Blurred patches of dull colours, and a few sharp lines that are no limbs."""
    patches = Image.fromarray(generator.integers(70, 210, size=(5, 5, 3), dtype=np.uint8))
    image = patches.resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(generator.integers(0, 5))):
        ends = generator.uniform(0, side, size=4).tolist()
        draw.line(ends, fill=tuple(generator.integers(60, 220, size=3).tolist()), width=int(generator.integers(1, 4)))
    return np.array(image)


def _draw_figure(
    draw: ImageDraw.ImageDraw, figure: Figure, *, side: int, shade: Any = None, number: int | None = None
) -> None:
    """A figure in its colours, or all of it in one number."""
    at = dict(zip(KEYPOINTS, figure.keypoints * side, strict=True))
    unit = figure.height * side

    def paint(colour: tuple[int, int, int]) -> Any:
        return number if number is not None else tuple((np.array(colour) * shade).clip(0, 255).astype(int).tolist())

    def disc(place: NDArray[np.float64], radius: float, colour: tuple[int, int, int]) -> None:
        x, y = place
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=paint(colour))

    def limb(names: tuple[str, str, str], colours: tuple[tuple[int, int, int], ...], end: tuple[int, int, int]) -> None:
        width = _THICKNESS * unit
        for start, stop, colour in zip(names, names[1:], colours, strict=False):
            draw.line([tuple(at[start]), tuple(at[stop])], fill=paint(colour), width=max(1, round(width)))
            disc(at[start], width / 2, colour)
        # A hand or a foot.
        disc(at[names[-1]], 0.65 * width, end)

    limb(("right_hip", "right_knee", "right_ankle"), _RIGHT_LEG, _FEATURES)
    limb(("left_hip", "left_knee", "left_ankle"), _LEFT_LEG, _FEATURES)
    trunk = ("right_shoulder", "left_shoulder", "left_hip", "right_hip")
    draw.polygon([tuple(at[name]) for name in trunk], fill=paint(_SHIRT))
    middle = (at["left_ear"] + at["right_ear"]) / 2
    neck = (at["left_shoulder"] + at["right_shoulder"]) / 2
    draw.line([tuple(neck), tuple(middle)], fill=paint(_SKIN), width=max(1, round(_THICKNESS * unit)))
    limb(("right_shoulder", "right_elbow", "right_wrist"), _RIGHT_ARM, _SKIN)
    limb(("left_shoulder", "left_elbow", "left_wrist"), _LEFT_ARM, _SKIN)
    disc(at["right_ear"], 0.025 * unit, _RIGHT_ARM[0])
    disc(at["left_ear"], 0.025 * unit, _LEFT_ARM[0])
    disc(middle, _HEAD * unit, _SKIN)
    for feature in ("nose", "right_eye", "left_eye"):
        disc(at[feature], 0.016 * unit, _FEATURES)
