"""COCO 2017's people with keypoints (Lin et al., https://arxiv.org/abs/1405.0312), from the original files."""

from pathlib import Path
from typing import Any

from datamodules.coco_annotations import AnnotatedImage, read_annotations
from datamodules.pose_images import PoseImagesDataModule, PoseSplits
from datamodules.unreadable import OnError


class CocoKeypointsDataModule(PoseImagesDataModule):
    """Images of `train2017` with labelled people to train on; some held out for validation; `val2017` to test on.

    Args:
        data_dir: holds `coco/annotations/person_keypoints_{train,val}2017.json`, `coco/train2017`, `coco/val2017`.
        val_images: how many images of `train2017`, those with the highest ids, are held out; validation and test see
            images without anybody too.
        overfit_image_ids: if given, train, validate and test on these images of `train2017` and no others.
        batch_size, num_workers, seed, image_size, evaluation_size, augmentation, on_error: see `PoseImagesDataModule`.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        val_images: int,
        overfit_image_ids: list[int] | None,
        batch_size: int,
        num_workers: int,
        seed: int,
        image_size: int,
        evaluation_size: int,
        augmentation: dict[str, Any] | None,
        on_error: OnError,
    ) -> None:
        self.folder = Path(data_dir) / "coco"
        self.val_images = val_images
        self.overfit_image_ids = overfit_image_ids
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            image_size=image_size,
            evaluation_size=evaluation_size,
            augmentation=augmentation,
            on_error=on_error,
        )

    def read_splits(self) -> PoseSplits:
        images = self._images("train2017")
        if self.overfit_image_ids is not None:
            chosen = _with_keypoints([image for image in images if image.image_id in self.overfit_image_ids])
            if missing := set(self.overfit_image_ids) - {image.image_id for image in chosen}:
                raise ValueError(
                    f"data.overfit_image_ids: image {min(missing)} is not in train2017, or nobody in it has a labelled"
                    " keypoint; leave it out"
                )
            return PoseSplits(chosen, chosen, chosen)
        held_out = max(0, len(images) - self.val_images)
        return PoseSplits(_with_keypoints(images[:held_out]), images[held_out:], self._images("val2017"))

    def _images(self, split: str) -> list[AnnotatedImage]:
        return read_annotations(
            self.folder / "annotations" / f"person_keypoints_{split}.json", images=self.folder / split
        )


def _with_keypoints(images: list[AnnotatedImage]) -> list[AnnotatedImage]:
    return [image for image in images if image.has_keypoints]
