"""PASCAL VOC, or any set of the same layout, for detection and for segmentation (see `datamodules.voc_devkit`)."""

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from datamodules.annotated_images import (
    AnnotatedImages,
    AnnotatedImagesDataModule,
    collate_detection,
    collate_segmentation,
)
from datamodules.batches import DetectionBatch, SegmentationBatch
from datamodules.joint_transforms import (
    DetectionAugmentation,
    Presentation,
    SegmentationAugmentation,
    detection_augmentation,
    detection_presentation,
    segmentation_augmentation,
    segmentation_presentation,
    unfilled_presentation,
)
from datamodules.unreadable import OnError
from datamodules.voc_devkit import DetectionFiles, ImageSet, SegmentationFiles, read_image_set
from datamodules.voc_shapes import VOCShapes


class VOCDetectionDataModule(AnnotatedImagesDataModule[DetectionBatch]):
    """Images with the boxes of their objects.

    Args:
        devkit_dir: holds a folder for each year.
        train_sets, val_sets, test_sets: image sets such as `VOC2012/train`; several are joined.
        classes: names of the classes of objects, in the order of their indices.
        num_classes: how many these are.
        train_on_difficult: whether objects marked as difficult are learned; evaluation always knows of them.
        image_size, mean, std: see `Presentation`.
        photometric, zoom_out, iou_crop, flip: see `DetectionAugmentation`.
        batch_size, num_workers, seed, on_error: see `AnnotatedImagesDataModule`.
        shapes: a `VOCShapes`, which writes a set of its own into a folder in `devkit_dir`, where it is missing.
    """

    def __init__(
        self,
        *,
        devkit_dir: str,
        train_sets: list[str],
        val_sets: list[str],
        test_sets: list[str],
        classes: list[str],
        num_classes: int,
        train_on_difficult: bool,
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
        shapes: dict[str, Any] | None = None,
    ) -> None:
        _check_number(classes, num_classes)
        to = Presentation(image_size, tuple(mean), tuple(std))
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate=collate_detection,
            augmentation=detection_augmentation(DetectionAugmentation(photometric, zoom_out, iou_crop, flip), to),
            presentation=detection_presentation(to),
            file_presentation=detection_presentation(to),
        )
        self.folder = Path(devkit_dir)
        self.shapes = _shapes(shapes)
        self.sets = {"train": train_sets, "val": val_sets, "test": test_sets}
        self.classes = classes
        self.train_on_difficult = train_on_difficult

    def prepare_data(self) -> None:
        if self.shapes is not None:
            self.shapes.write(self.folder)

    def read_splits(self) -> dict[str, AnnotatedImages]:
        return {
            split: DetectionFiles(
                _read_sets(self.folder, self.shapes, names, task="Main"),
                self.classes,
                with_difficult=split != "train" or self.train_on_difficult,
            )
            for split, names in self.sets.items()
        }

    def train_dataloader(self) -> DataLoader[DetectionBatch]:
        return self.training_batches()

    @property
    def class_names(self) -> list[str]:
        return self.classes


class VOCSegmentationDataModule(AnnotatedImagesDataModule[SegmentationBatch]):
    """Images with a class for every pixel; class 0 is the background.

    Args:
        devkit_dir, train_sets, val_sets, test_sets, shapes: see `VOCDetectionDataModule`.
        classes: names of the classes of objects, in the order of their indices from 1.
        num_classes: how many these are, and the background.
        image_size, mean, std: see `Presentation`.
        scale, degrees, blur, flip: see `SegmentationAugmentation`.
        batch_size, num_workers, seed, on_error: see `AnnotatedImagesDataModule`.
    """

    def __init__(
        self,
        *,
        devkit_dir: str,
        train_sets: list[str],
        val_sets: list[str],
        test_sets: list[str],
        classes: list[str],
        num_classes: int,
        image_size: int,
        mean: list[float],
        std: list[float],
        scale: list[float],
        degrees: float | None,
        blur: bool,
        flip: bool,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError = "raise",
        shapes: dict[str, Any] | None = None,
    ) -> None:
        _check_number(["background", *classes], num_classes)
        to = Presentation(image_size, tuple(mean), tuple(std))
        smallest, largest = scale
        augmentation = SegmentationAugmentation((smallest, largest), degrees, blur, flip)
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate=collate_segmentation,
            augmentation=segmentation_augmentation(augmentation, to),
            presentation=segmentation_presentation(to),
            file_presentation=unfilled_presentation(to),
        )
        self.folder = Path(devkit_dir)
        self.shapes = _shapes(shapes)
        self.sets = {"train": train_sets, "val": val_sets, "test": test_sets}
        self.classes = classes
        self.num_classes = num_classes

    def prepare_data(self) -> None:
        if self.shapes is not None:
            self.shapes.write(self.folder)

    def read_splits(self) -> dict[str, AnnotatedImages]:
        return {
            split: SegmentationFiles(
                _read_sets(self.folder, self.shapes, names, task="Segmentation"), num_classes=self.num_classes
            )
            for split, names in self.sets.items()
        }

    def train_dataloader(self) -> DataLoader[SegmentationBatch]:
        return self.training_batches()

    @property
    def class_names(self) -> list[str]:
        return ["background", *self.classes]


def _shapes(component: dict[str, Any] | None) -> VOCShapes | None:
    return None if component is None else VOCShapes(**{k: v for k, v in component.items() if k != "_target_"})


def _read_sets(folder: Path, shapes: VOCShapes | None, image_sets: list[str], *, task: str) -> list[ImageSet]:
    devkit = folder if shapes is None else shapes.devkit(folder)
    return [read_image_set(devkit, image_set, task=task) for image_set in image_sets]


def _check_number(names: list[str], num_classes: int) -> None:
    if len(names) != num_classes:
        raise ValueError(
            f"data.num_classes={num_classes}, but there are {len(names)} classes ({', '.join(names)}); make them agree"
        )
