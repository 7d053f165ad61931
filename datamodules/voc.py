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
        overfit_images: if given, train, validate and test on so many of the first images of `train_sets`, without
            augmentation.

    Raises:
        ValueError: `num_classes` is not the number of classes.
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
        overfit_images: int | None = None,
    ) -> None:
        _check_number(classes, num_classes)
        to = Presentation(image_size, tuple(mean), tuple(std))
        presentation = detection_presentation(to)
        augmentation = detection_augmentation(DetectionAugmentation(photometric, zoom_out, iou_crop, flip), to)
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate=collate_detection,
            augmentation=augmentation if overfit_images is None else presentation,
            presentation=presentation,
        )
        self.folder = Path(devkit_dir)
        self.shapes = _shapes(shapes)
        self.sets = {"train": train_sets, "val": val_sets, "test": test_sets}
        self.overfit_images = overfit_images
        self.classes = classes
        self.train_on_difficult = train_on_difficult

    def prepare_data(self) -> None:
        if self.shapes is not None:
            self.shapes.write(self.folder)

    def read_splits(self) -> dict[str, AnnotatedImages]:
        sets = _read_sets(self.folder, self.shapes, self.sets, task="Main", overfit_images=self.overfit_images)
        return {
            split: DetectionFiles(image_sets, self.classes, with_difficult=split != "train" or self.train_on_difficult)
            for split, image_sets in sets.items()
        }

    def train_dataloader(self) -> DataLoader[DetectionBatch]:
        return self.training_batches()

    @property
    def class_names(self) -> list[str]:
        return self.classes


class VOCSegmentationDataModule(AnnotatedImagesDataModule[SegmentationBatch]):
    """Images with a class for every pixel; class 0 is the background.

    Args:
        devkit_dir, train_sets, val_sets, test_sets, shapes, overfit_images: see `VOCDetectionDataModule`.
        classes: names of the classes of objects, in the order of their indices from 1.
        num_classes: how many these are, and the background.
        image_size, mean, std: see `Presentation`.
        scale, degrees, blur, flip: see `SegmentationAugmentation`.
        batch_size, num_workers, seed, on_error: see `AnnotatedImagesDataModule`.

    Raises:
        ValueError: see `VOCDetectionDataModule`.
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
        overfit_images: int | None = None,
    ) -> None:
        _check_number(["background", *classes], num_classes)
        to = Presentation(image_size, tuple(mean), tuple(std))
        presentation = segmentation_presentation(to)
        smallest, largest = scale
        augmentation = segmentation_augmentation(SegmentationAugmentation((smallest, largest), degrees, blur, flip), to)
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate=collate_segmentation,
            augmentation=augmentation if overfit_images is None else presentation,
            presentation=presentation,
        )
        self.folder = Path(devkit_dir)
        self.shapes = _shapes(shapes)
        self.sets = {"train": train_sets, "val": val_sets, "test": test_sets}
        self.overfit_images = overfit_images
        self.classes = classes
        self.num_classes = num_classes

    def prepare_data(self) -> None:
        if self.shapes is not None:
            self.shapes.write(self.folder)

    def read_splits(self) -> dict[str, AnnotatedImages]:
        sets = _read_sets(self.folder, self.shapes, self.sets, task="Segmentation", overfit_images=self.overfit_images)
        return {
            split: SegmentationFiles(image_sets, num_classes=self.num_classes) for split, image_sets in sets.items()
        }

    def train_dataloader(self) -> DataLoader[SegmentationBatch]:
        return self.training_batches()

    @property
    def class_names(self) -> list[str]:
        return ["background", *self.classes]


def _shapes(component: dict[str, Any] | None) -> VOCShapes | None:
    return None if component is None else VOCShapes(**{k: v for k, v in component.items() if k != "_target_"})


def _read_sets(
    folder: Path, shapes: VOCShapes | None, names: dict[str, list[str]], *, task: str, overfit_images: int | None
) -> dict[str, list[ImageSet]]:
    """The image sets of every split."""
    devkit = folder if shapes is None else shapes.devkit(folder)
    if overfit_images is not None:
        train_sets = [read_image_set(devkit, image_set, task=task) for image_set in names["train"]]
        return dict.fromkeys(names, _first_images(train_sets, overfit_images))
    return {split: [read_image_set(devkit, name, task=task) for name in of_split] for split, of_split in names.items()}


def _first_images(image_sets: list[ImageSet], number: int) -> list[ImageSet]:
    num_images = sum(len(image_set.names) for image_set in image_sets)
    if not 1 <= number <= num_images:
        raise ValueError(
            f"data.overfit_images={number}: data.train_sets have {num_images} images; take 1 to {num_images}"
        )
    chosen = []
    for image_set in image_sets:
        chosen.append(image_set._replace(names=image_set.names[:number]))
        number -= len(chosen[-1].names)
    return chosen


def _check_number(names: list[str], num_classes: int) -> None:
    if len(names) != num_classes:
        raise ValueError(
            f"data.num_classes={num_classes}, but there are {len(names)} classes ({', '.join(names)}); make them agree"
        )
