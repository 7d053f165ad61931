"""COCO's objects with their boxes (Lin et al. 2014, https://arxiv.org/abs/1405.0312), in the layout that is downloaded.

<data_dir>/annotations/instances_train2017.json
           train2017/000000000009.jpg
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import tv_tensors

from datamodules.annotated_images import AnnotatedImages, AnnotatedImagesDataModule, collate_detection
from datamodules.batches import DetectionBatch
from datamodules.joint_transforms import (
    DetectionAugmentation,
    Presentation,
    Sample,
    detection_augmentation,
    detection_presentation,
)
from datamodules.pictures import read_picture
from datamodules.unreadable import OnError, UnreadableSample

# The files' boxes are rounded to hundredths, which may carry them over the edge.
_ROUNDING_PIXELS = 0.5


class InstanceFiles:
    """Images with the boxes of their objects.

    Args:
        with_crowds: false leaves out boxes around crowds; else they are what a batch calls difficult.

    Raises:
        FileNotFoundError: there are no annotations.
        ValueError: they are no JSON of COCO's, or their categories are not the classes.
    """

    def __init__(self, data_dir: Path, split: str, class_names: Sequence[str], *, with_crowds: bool) -> None:
        self.folder = data_dir / split
        self.file = data_dir / "annotations" / f"instances_{split}.json"
        if not self.file.is_file():
            raise FileNotFoundError(
                f"no COCO annotations {self.file}; put annotations/ and {split}/ into {data_dir}, or set FIRSTHAND_DATA"
                " to the folder that holds coco/"
            )
        try:
            content: dict[str, Any] = json.loads(self.file.read_text())
            self.images: list[dict[str, Any]] = sorted(content["images"], key=lambda image: image["id"])
            names = {category["id"]: category["name"] for category in content["categories"]}
            annotations = content["annotations"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.file} is not COCO's JSON ({type(error).__name__}: {error})") from error
        if unknown := sorted(set(names.values()) - set(class_names)):
            raise ValueError(f"{self.file} has categories that data.classes has not: {', '.join(unknown)}; add them")
        label_of = {name: label for label, name in enumerate(class_names)}
        self.label_of = {category: label_of[name] for category, name in names.items()}
        self.objects_of: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.images}
        for annotation in annotations:
            if with_crowds or not annotation.get("iscrowd"):
                self.objects_of.setdefault(annotation["image_id"], []).append(annotation)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> Sample:
        """An image and its objects.

        Raises:
            UnreadableSample: the image is missing or damaged, or an object makes no sense.
        """
        entry = self.images[index]
        image = read_picture(self.folder / entry["file_name"])
        height, width = image.shape[-2:]
        objects = self.objects_of[entry["id"]]
        boxes_xyxy = [self._read_box(found, width=width, height=height) for found in objects]
        boxes = torch.tensor(boxes_xyxy, dtype=torch.float32).reshape(-1, 4)
        return {
            "image": image,
            "boxes_xyxy": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width)),
            "label": torch.tensor([self.label_of[found["category_id"]] for found in objects], dtype=torch.int64),
            "is_difficult": torch.tensor([bool(found.get("iscrowd")) for found in objects], dtype=torch.bool),
        }

    def _read_box(self, found: dict[str, Any], *, width: int, height: int) -> tuple[float, float, float, float]:
        record = f"annotation {found.get('id')}"
        box = found.get("bbox")
        if found.get("category_id") not in self.label_of:
            reason = f"its category {found.get('category_id')} is none of the file's"
            raise UnreadableSample(self.file, reason, record=record)
        if not (isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)):
            raise UnreadableSample(self.file, f"its box {box} is not four numbers", record=record)
        left, top, box_width, box_height = (float(value) for value in box)
        right, bottom = left + box_width, top + box_height
        # Written so that what is not a number is refused too.
        if not (box_width > 0 and box_height > 0):
            raise UnreadableSample(self.file, f"its box {box} has no area", record=record)
        beyond = max(-left, -top, right - width, bottom - height)
        if not beyond <= _ROUNDING_PIXELS:
            reason = f"its box {box} is not within the image of {width} x {height} pixels"
            raise UnreadableSample(self.file, reason, record=record)
        return max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)

    def fingerprint(self) -> str:
        """A hash over the annotations and the sizes of the image files."""
        digest = hashlib.sha256(self.file.read_bytes())
        for entry in self.images:
            image = self.folder / entry["file_name"]
            digest.update(str(image.stat().st_size if image.is_file() else -1).encode())
        return digest.hexdigest()


class COCODetectionDataModule(AnnotatedImagesDataModule[DetectionBatch]):
    """Images with the boxes of their objects; crowds are evaluated as difficult objects are, and not trained on.

    Args:
        data_dir: holds `annotations/` and a folder of images for each split.
        train_split, val_split, test_split: such as `train2017`.
        classes, num_classes: names of the categories, in the order of their indices, and how many these are.
        image_size, mean, std: see `Presentation`.
        photometric, zoom_out, iou_crop, flip: see `DetectionAugmentation`.
        batch_size, num_workers, seed, on_error: see `AnnotatedImagesDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        train_split: str,
        val_split: str,
        test_split: str,
        classes: list[str],
        num_classes: int,
        image_size: int,
        mean: list[float],
        std: list[float],
        photometric: bool,
        zoom_out: float | None,
        iou_crop: bool,
        flip: bool,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError = "raise",
    ) -> None:
        if len(classes) != num_classes:
            raise ValueError(f"data.num_classes={num_classes}, but there are {len(classes)} classes; make them agree")
        to = Presentation(image_size, tuple(mean), tuple(std))
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate=collate_detection,
            augmentation=detection_augmentation(DetectionAugmentation(photometric, zoom_out, iou_crop, flip), to),
            presentation=detection_presentation(to),
        )
        self.data_dir = Path(data_dir)
        self.split_names = {"train": train_split, "val": val_split, "test": test_split}
        self.classes = classes

    def read_splits(self) -> dict[str, AnnotatedImages]:
        return {
            split: InstanceFiles(self.data_dir, name, self.classes, with_crowds=split != "train")
            for split, name in self.split_names.items()
        }

    def train_dataloader(self) -> DataLoader[DetectionBatch]:
        return self.training_batches()

    @property
    def class_names(self) -> list[str]:
        return self.classes
