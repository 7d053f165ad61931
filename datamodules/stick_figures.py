"""Generated people with known joints in COCO's format: one to four, over one another, hidden in part, cut off."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from datamodules.coco_annotations import KEYPOINTS, AnnotatedImage, read_annotations
from datamodules.figure_drawing import Drawing, Figure, draw_scene, random_figure
from datamodules.new_folder import new_folder
from datamodules.pose_images import PoseImagesDataModule, PoseSplits
from datamodules.randomness import seed_of
from datamodules.unreadable import OnError

# Of what is drawn: raise it with any change, so that no one takes old pictures for new ones.
VERSION = 1
MOST_PEOPLE = 4
SPLITS = ("train", "val", "test")
# As parts of the image's side: heights of figures, the least distance between two, sides of what hides them.
_HEIGHTS = (0.45, 0.8)
_DISTANCE = 0.3
_OCCLUDER_SIDES = (0.06, 0.2)
_OCCLUDED_IMAGES = 0.4
# Parts of figures whose keypoints are not given, as COCO's smallest people have none; and that must stay in sight.
_UNLABELLED = 0.04
_LEAST_KEYPOINTS_INSIDE = 8
# Nobody is cut off at a shoulder: the joint between them is what holds a person's parts together in OpenPose, so that
# even maps drawn from the annotations give such a person back in pieces.
_SHOULDERS = [KEYPOINTS.index("left_shoulder"), KEYPOINTS.index("right_shoulder")]
_LEAST_VISIBLE_PART = 0.4


class StickFiguresDataModule(PoseImagesDataModule):
    """Coloured figures on patchy grounds, written once as PNG files and COCO annotations.

    Args:
        data_dir: receives `stick_figures/v<version>_<side>px_<train>_<val>_<test>/`.
        num_train, num_val, num_test: images of the splits.
        stored_size: side of the images in pixels.
        batch_size, num_workers, seed, image_size, evaluation_size, augmentation, on_error: see `PoseImagesDataModule`;
            the seed does not change what is drawn.
    """

    def __init__(
        self,
        *,
        data_dir: str,
        num_train: int,
        num_val: int,
        num_test: int,
        stored_size: int,
        batch_size: int,
        num_workers: int,
        seed: int,
        image_size: int,
        evaluation_size: int,
        augmentation: dict[str, Any] | None,
        on_error: OnError,
    ) -> None:
        self.num_images = dict(zip(SPLITS, (num_train, num_val, num_test), strict=True))
        self.stored_size = stored_size
        name = "_".join((f"v{VERSION}", f"{stored_size}px", *map(str, self.num_images.values())))
        self.folder = Path(data_dir) / "stick_figures" / name
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            image_size=image_size,
            evaluation_size=evaluation_size,
            augmentation=augmentation,
            on_error=on_error,
        )

    def prepare_data(self) -> None:
        """Draw the images, unless they are there.

        Raises:
            OSError: the folder cannot be written.
        """
        if not self.folder.is_dir():
            write_figures(self.folder, self.num_images, side=self.stored_size)

    def read_splits(self) -> PoseSplits:
        return PoseSplits(*(self._images(split) for split in SPLITS))

    def _images(self, split: str) -> list[AnnotatedImage]:
        return read_annotations(
            self.folder / "annotations" / f"person_keypoints_{split}.json", images=self.folder / split
        )


def write_figures(folder: Path, num_images: dict[str, int], *, side: int) -> None:
    """Write splits of so many images into a new folder, which is there as a whole or not at all."""
    with new_folder(folder) as unfinished:
        (unfinished / "annotations").mkdir()
        for split, count in num_images.items():
            (unfinished / split).mkdir()
            _write_split(unfinished, split, count, side=side)


def _write_split(folder: Path, split: str, count: int, *, side: int) -> None:
    images, annotations = [], []
    for index in range(count):
        # Image ids are unique over all splits.
        image_id = SPLITS.index(split) * 1_000_000 + index + 1
        generator = np.random.default_rng(seed_of(VERSION, image_id))
        name = f"{image_id:012d}.png"
        drawing, figures = _scene(generator, side=side)
        Image.fromarray(drawing.image).save(folder / split / name)
        images.append({"id": image_id, "file_name": name, "width": side, "height": side})
        for number, figure in enumerate(figures, start=1):
            is_labelled = generator.uniform() > _UNLABELLED or number == len(figures)
            record = _record(figure, drawing.figure == number, side=side, is_labelled=is_labelled)
            annotations.append({"id": 10 * image_id + number, "image_id": image_id, **record})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": KEYPOINTS}],
    }
    (folder / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))


def _scene(generator: np.random.Generator, *, side: int) -> tuple[Drawing, list[Figure]]:
    """Figures far enough from each other and mostly in sight; drawn anew until they are."""
    while True:
        figures: list[Figure] = []
        middles: list[NDArray[np.float64]] = []
        num_people = int(generator.integers(1, MOST_PEOPLE + 1))
        for _ in range(20 * num_people):
            if len(figures) == num_people:
                break
            middle = generator.uniform(0.05, 0.95, size=2)
            figure = random_figure(generator, height=generator.uniform(*_HEIGHTS), middle=middle)
            is_apart = all(np.linalg.norm(middle - other) > _DISTANCE for other in middles)
            inside = _inside(figure.keypoints)
            if is_apart and inside[_SHOULDERS].all() and inside.sum() >= _LEAST_KEYPOINTS_INSIDE:
                figures.append(figure)
                middles.append(middle)
        occluders = np.zeros((0, 4))
        if generator.uniform() < _OCCLUDED_IMAGES:
            corner, size = generator.uniform(size=(2, 2)), generator.uniform(*_OCCLUDER_SIDES, size=(2, 2))
            occluders = np.concatenate([corner, corner + size], axis=1)
        drawing = draw_scene(figures, occluders, generator, side=side)
        visible = [_visible_part(drawing, figure, number) for number, figure in enumerate(figures, start=1)]
        if min(visible) >= _LEAST_VISIBLE_PART:
            return drawing, figures


def _visible_part(drawing: Drawing, figure: Figure, number: int) -> float:
    """Of the keypoints inside the image, those that nothing covers."""
    inside = figure.keypoints[_inside(figure.keypoints)]
    return float((_seen_at(drawing.figure, inside) == number).mean())


def _inside(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.logical_and(places >= 0, places < 1).all(axis=1)
    return np.asarray(inside)


def _seen_at(values: NDArray[Any], places: NDArray[np.float64]) -> NDArray[Any]:
    column, row = (places * len(values)).astype(int).T
    seen: NDArray[Any] = values[row, column]
    return seen


def _record(figure: Figure, is_seen: NDArray[np.bool_], *, side: int, is_labelled: bool) -> dict[str, Any]:
    """A figure as COCO has people: what is seen of it is its area, joints outside the image are not labelled."""
    keypoints = np.zeros((len(KEYPOINTS), 3))
    if is_labelled:
        inside = _inside(figure.keypoints)
        # A pixel's middle is its index.
        keypoints[inside, :2] = figure.keypoints[inside] * side - 0.5
        keypoints[inside, 2] = np.where(_seen_at(is_seen, figure.keypoints[inside]), 2, 1)
    outline = coco_mask.encode(np.asfortranarray(is_seen.astype(np.uint8)))
    rows, columns = np.nonzero(is_seen)
    left, top = int(columns.min()), int(rows.min())
    return {
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": keypoints.round(2).ravel().tolist(),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "area": int(is_seen.sum()),
        "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
        "segmentation": {"size": outline["size"], "counts": outline["counts"].decode()},
    }
