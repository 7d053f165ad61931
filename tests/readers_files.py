"""What the documentation takes a reader to have: photographs, clips, texts, digits, and weights from elsewhere."""

import csv
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits, load_sample_image

from tests.datamodules.clips import grey_levels, write_video

_EACH = 24


def write_readers_files(folder: Path) -> None:
    """Small ones, by the names that the documents use."""
    photograph = load_sample_image("flower.jpg")
    for index in range(_EACH):
        # Another part of the photograph each.
        part = Image.fromarray(photograph[8 * index : 8 * index + 200, 16 * index : 16 * index + 200])
        for name in ("ants", "bees"):
            _save(part, folder / "photos" / name / f"{index}.jpg")
        for number in (index, _EACH + index):
            _save(part, folder / "parts" / "train" / "good" / f"{number}.png")
        for name in ("good", "scratch"):
            _save(part if name == "good" else _scratched(part), folder / "parts" / "test" / name / f"{index}.png")
        for name in ("run", "walk"):
            file = folder / "clips" / name / f"{index}.mp4"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_video(file, grey_levels(24) * 3)
    digits = load_digits().images
    for index in range(4):
        _save(Image.fromarray((digits[index] * 15).astype(np.uint8)), folder / "digits" / f"{index}.png")
    (folder / "texts").mkdir()
    (folder / "texts" / "one.txt").write_text("Not a bad film at all, but far too long.")
    with (folder / "reviews.csv").open("w", newline="") as reviews:
        rows = csv.writer(reviews)
        rows.writerow(["review", "stars"])
        for index in range(100):
            rows.writerow(
                [f"film number {index} was {'dull' if index % 2 else 'lovely'}", "bad" if index % 2 else "good"]
            )
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")


def _scratched(image: Image.Image) -> Image.Image:
    faulty = image.copy()
    ImageDraw.Draw(faulty).line([(20, 30), (180, 160)], fill=(255, 255, 255), width=6)
    return faulty


def _save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)
