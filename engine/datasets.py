"""Data sets; none is downloaded."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.variable import Array


class Dataset:
    """Samples (data, label) by number; a subclass fills `data` and `label` in `prepare`.

    Args:
        train: the part for training, or the part for testing.
        transform: applied to the data of each sample.
        target_transform: applied to its label.
    """

    data: Array
    label: Array | None = None

    def __init__(
        self,
        train: bool = True,  # noqa: FBT001, FBT002 - DeZero's signature
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.prepare()

    def prepare(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no prepare")

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        x = self.data[index]
        x = x if self.transform is None else self.transform(x)
        t = None if self.label is None else self.label[index]
        return x, t if self.target_transform is None else self.target_transform(t)


class Spiral(Dataset):
    """Three arms of a spiral in the plane, 100 points each; training and test points are drawn alike."""

    def prepare(self) -> None:
        random = np.random.default_rng(1984 if self.train else 2020)
        arm = np.repeat(np.arange(3), 100)
        radius = np.tile(np.arange(100) / 100.0, 3)
        angle = 4.0 * arm + 4.0 * radius + 0.2 * random.standard_normal(300)
        points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
        order = random.permutation(300)
        self.data = torch.from_numpy(points[order].astype(np.float32))
        self.label = torch.from_numpy(arm[order])


class SinCurve(Dataset):
    """A noisy sine (for testing: a clean cosine); each label is the next value."""

    def prepare(self) -> None:
        x = torch.linspace(0.0, 2.0 * math.pi, 1000, dtype=torch.float64)
        noise = np.random.default_rng(0).uniform(-0.05, 0.05, size=1000)
        curve = (x.sin() + torch.from_numpy(noise) if self.train else x.cos()).float()
        self.data = curve[:-1, None]
        self.label = curve[1:, None]


class Digits(Dataset):
    """1,797 handwritten digits of 8 x 8 pixels in [0, 1]; the last 360 are for testing.

    Source: scikit-learn's copy of the UCI "Optical recognition of handwritten digits".
    """

    def prepare(self) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        part = slice(None, -360) if self.train else slice(-360, None)
        self.data = torch.from_numpy(digits.images[part].astype(np.float32))[:, None] / 16.0
        self.label = torch.from_numpy(digits.target[part].astype(np.int64))


class MNIST(Dataset):
    """60,000 handwritten digits of 28 x 28 pixels in [0, 1] for training, 10,000 for testing.

    Args:
        folder: where the four original files are (train-images-idx3-ubyte.gz and so on, LeCun et al. 1998).
    """

    def __init__(self, folder: str | Path, *, train: bool = True) -> None:
        self.folder = Path(folder)
        super().__init__(train)

    def prepare(self) -> None:
        part = "train" if self.train else "t10k"
        pixels = _idx(self.folder / f"{part}-images-idx3-ubyte.gz")
        self.data = torch.from_numpy(pixels.astype(np.float32) / 255.0)[:, None]
        self.label = torch.from_numpy(_idx(self.folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64))


def _idx(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An IDX file of bytes: four bytes of which the last is the number of axes, their lengths, the numbers."""
    content = gzip.decompress(path.read_bytes())
    header = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:header], dtype=">u4").tolist()
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
