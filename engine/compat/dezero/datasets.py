"""DeZero's data sets, of numpy arrays; nothing is downloaded."""

# ruff: noqa: FBT001, FBT002 - DeZero's signatures

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine import datasets
from engine.compat.dezero.transforms import Compose, Flatten, Normalize, ToFloat


def data_file(name: str) -> Path:
    """A file under the data root."""
    path = Path(os.environ.get("FIRSTHAND_DATA", "data")) / name
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; set FIRSTHAND_DATA to the folder that holds {name}")
    return path


class Dataset(datasets.Dataset):
    """Samples of numpy arrays."""

    data: Any
    label: Any

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        x = self.data[index]
        x = x if self.transform is None else self.transform(x)
        t = None if self.label is None else self.label[index]
        return x, t if self.target_transform is None else self.target_transform(t)


class Spiral(Dataset):
    """Three arms of a spiral in the plane."""

    def prepare(self) -> None:
        self.data, self.label = get_spiral(self.train)


class SinCurve(Dataset):
    """A noisy sine; for testing a clean cosine."""

    def prepare(self) -> None:
        curve = datasets.SinCurve(self.train)
        assert curve.label is not None
        self.data, self.label = curve.data.numpy(), curve.label.numpy()


ROW_OF_PIXELS = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])


class MNIST(Dataset):
    """Handwritten digits, from the four original files in `mnist/` under FIRSTHAND_DATA."""

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = ROW_OF_PIXELS,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        prefix = "train" if self.train else "t10k"
        images = gzip.decompress(data_file(f"mnist/{prefix}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress(data_file(f"mnist/{prefix}-labels-idx1-ubyte.gz").read_bytes())
        self.data = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)
        self.label = np.frombuffer(labels, np.uint8, offset=8)

    @staticmethod
    def labels() -> dict[int, str]:
        """The names of the classes."""
        return {i: str(i) for i in range(10)}


class Shakespear(Dataset):
    """Characters by number, each with the next one, from `text/tinyshakespeare.txt` (in DeZero's spelling)."""

    def prepare(self) -> None:
        text = data_file("text/tinyshakespeare.txt").read_text(encoding="utf-8")
        text = text[:-100_000] if self.train else text[-100_000:]
        characters = sorted(set(data_file("text/tinyshakespeare.txt").read_text(encoding="utf-8")))
        self.char_to_id = {character: i for i, character in enumerate(characters)}
        self.id_to_char = dict(enumerate(characters))
        numbers = np.array([self.char_to_id[character] for character in text])
        self.data, self.label = numbers[:-1], numbers[1:]


class ImageNet(Dataset):
    """The names of ImageNet's classes alone."""

    def prepare(self) -> None:
        raise NotImplementedError("the engine has no copy of ImageNet; only ImageNet.labels() can be used")

    @staticmethod
    def labels() -> dict[int, str]:
        """The names of the 1,000 classes, from `imagenet/labels.txt` under FIRSTHAND_DATA, one a line."""
        return dict(enumerate(data_file("imagenet/labels.txt").read_text(encoding="utf-8").splitlines()))


def get_spiral(train: bool = True) -> tuple[Any, Any]:
    """The points of the spiral and their arms."""
    spiral = datasets.Spiral(train)
    assert spiral.label is not None
    return spiral.data.numpy(), spiral.label.numpy()
