"""Small annotation files in COCO's format, sound or with one thing wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datamodules.coco_keypoints import CocoKeypointsDataModule


def keypoints(count: int = 17) -> list[float]:
    """As many labelled keypoints, on a grid."""
    return [value for index in range(count) for value in (20 + 4 * (index % 4), 10 + 4 * (index // 4), 2)]


def person(image: int, /, **changes: Any) -> dict[str, Any]:
    """A person's record; `None` takes a key away."""
    record = {
        "id": 100 + image,
        "image_id": image,
        "category_id": 1,
        "keypoints": keypoints(),
        "num_keypoints": 17,
        "area": 400.0,
        "bbox": [16, 6, 24, 28],
        "iscrowd": 0,
        "segmentation": [[16, 6, 40, 6, 40, 34, 16, 34]],
        **changes,
    }
    return {key: value for key, value in record.items() if value is not None}


def write_coco(folder: Path, *, train: int = 6, test: int = 2, **changes: Any) -> Path:
    """A folder with `coco/`; `changes` are made to the record of the first training image."""
    generator = np.random.default_rng(0)
    for split, first, count in (("train2017", 1, train), ("val2017", 1_001, test)):
        images = folder / "coco" / split
        images.mkdir(parents=True)
        ids = range(first, first + count)
        for image_id in ids:
            pixels = generator.integers(0, 255, size=(48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(images / f"{image_id:012d}.jpg")
        content = {
            "images": [
                {"id": image_id, "file_name": f"{image_id:012d}.jpg", "width": 64, "height": 48} for image_id in ids
            ],
            "annotations": [person(image_id, **(changes if image_id == 1 else {})) for image_id in ids],
        }
        file = folder / "coco" / "annotations" / f"person_keypoints_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))
    return folder


def data_of(folder: Path, **changes: Any) -> CocoKeypointsDataModule:
    """The data module over such a folder, set up."""
    settings: dict[str, Any] = {
        "val_images": 2,
        "overfit_image_ids": None,
        "batch_size": 2,
        "num_workers": 0,
        "seed": 1,
        "image_size": 64,
        "evaluation_size": 64,
        "augmentation": {},
        "on_error": "raise",
        **changes,
    }
    data = CocoKeypointsDataModule(data_dir=str(folder), **settings)
    data.setup("fit")
    return data
