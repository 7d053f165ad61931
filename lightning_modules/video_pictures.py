"""Predicted classes of videos as plain values, as a strip of frames, and as labels over the running clip."""

import math
from pathlib import Path
from typing import NamedTuple, TypedDict

import av
from PIL import Image, ImageDraw, ImageFont

from lightning_modules.class_pictures import ClassProbability

_STRIP_FRAMES = 6
_FRAME_HEIGHT = 120
_PANEL_HEIGHT = 84
_ANIMATION_HEIGHT = 240
_LABEL_HEIGHT = 28
# Of animations: what a browser shows smoothly, and a file of a few megabytes at most.
_MOST_FRAMES_PER_SECOND = 12.0
_MOST_ANIMATED_FRAMES = 240
_INK = (30, 30, 30)
_BAR = (66, 133, 244)
_PAPER = (255, 255, 255)


class WindowPrediction(TypedDict):
    """The most probable classes after a window, which begins and ends at so many seconds."""

    begin_s: float
    end_s: float
    classes: list[ClassProbability]


class VideoPrediction(TypedDict):
    """The most probable classes of a video, and after each of its windows."""

    classes: list[ClassProbability]
    windows: list[WindowPrediction]


class Animation(NamedTuple):
    """Pictures of equal size, and how long each is shown."""

    frames: list[Image.Image]
    seconds_per_frame: float


class _Frame(NamedTuple):
    time_s: float
    picture: Image.Image


def draw_film_strip(file: Path, prediction: VideoPrediction, class_names: list[str]) -> Image.Image:
    """Frames from beginning to end, and below them a bar for each of the three most probable classes."""
    frames = _frames(file, height=_FRAME_HEIGHT)
    chosen = [frames[int((i + 0.5) * len(frames) / _STRIP_FRAMES)].picture for i in range(_STRIP_FRAMES)]
    canvas = Image.new("RGB", (sum(p.width for p in chosen), _FRAME_HEIGHT + _PANEL_HEIGHT), _PAPER)
    for column, picture in enumerate(chosen):
        canvas.paste(picture, (column * picture.width, 0))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    for row, entry in enumerate(prediction["classes"][:3]):
        top = _FRAME_HEIGHT + 8 + 24 * row
        draw.text((8, top), f"{class_names[entry['label']]}  {entry['probability']:.0%}", fill=_INK, font=font)
        left = canvas.width // 3
        length = round((canvas.width - left - 8) * entry["probability"])
        draw.rectangle((left, top + 2, left + length, top + 16), fill=_BAR)
    return canvas


def animate_classification(file: Path, prediction: VideoPrediction, class_names: list[str]) -> Animation:
    """The video at its own speed under a bar with the class that the windows seen by then speak for.

    Before the first of several has ended its prediction is shown in brackets: it is made from frames yet to come.
    """
    frames = _frames(file, height=_ANIMATION_HEIGHT)
    rate = (len(frames) - 1) / max(frames[-1].time_s - frames[0].time_s, 1e-6) if len(frames) > 1 else 1.0
    step = max(1, math.ceil(rate / _MOST_FRAMES_PER_SECOND), math.ceil(len(frames) / _MOST_ANIMATED_FRAMES))
    pictures = []
    for time_s, picture in frames[::step]:
        ended = [window for window in prediction["windows"] if window["end_s"] <= time_s]
        (best, *_) = (ended or prediction["windows"])[-1 if ended else 0]["classes"]
        words = f"{class_names[best['label']]}  {best['probability']:.0%}"
        is_known = ended or len(prediction["windows"]) == 1
        pictures.append(_labelled(picture, words if is_known else f"({words})", share=best["probability"]))
    return Animation(pictures, step / rate)


def _labelled(picture: Image.Image, words: str, *, share: float) -> Image.Image:
    canvas = Image.new("RGB", (picture.width, picture.height + _LABEL_HEIGHT), _PAPER)
    canvas.paste(picture, (0, _LABEL_HEIGHT))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, _LABEL_HEIGHT - 4, round(picture.width * share), _LABEL_HEIGHT - 1), fill=_BAR)
    draw.text((6, 3), words, fill=_INK, font=ImageFont.load_default(size=15))
    return canvas


def _frames(file: Path, *, height: int) -> list[_Frame]:
    frames = []
    with av.open(str(file)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            time_s = frame.time if frame.time is not None else number / 25
            # Counterclockwise, as Pillow counts too; a camera may have been held upright.
            picture = Image.fromarray(frame.to_ndarray(format="rgb24")).rotate(frame.rotation, expand=True)
            width = max(1, round(picture.width * height / picture.height))
            frames.append(_Frame(time_s, picture.resize((width, height), Image.Resampling.BILINEAR)))
    return frames
