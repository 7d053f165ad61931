"""Folders of small images for tests."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (24, 18)
ANTS_BEES = {"train/ants": 5, "train/bees": 3, "val/ants": 2, "val/bees": 2}


def make_images(folder: Path, counts: dict[str, int], *, size: tuple[int, int] = SIZE) -> Path:
    """`counts` images in each subfolder, of random pixels, no two equal."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """Arguments of an `ImageFolderDataModule` over `make_images(folder, ANTS_BEES)`."""
    return {
        "folder": str(folder),
        "class_names": ["ants", "bees"],
        "num_classes": 2,
        "in_channels": 3,
        "image_size": 16,
        "center_crop_fraction": 0.875,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "min_crop_area": 0.5,
        "flip_probability": 0.5,
        "color_jitter": 0.2,
        "balance_classes": False,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
        "batch_size": 2,
        "num_workers": 0,
        "seed": 1,
        "on_error": "raise",
        **changes,
    }
