"""Annotation files of COCO's person keypoints (https://cocodataset.org/#format-data), checked as they are read."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from datamodules.unreadable import UnreadableSample

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
# What each keypoint is called in a mirror.
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


class AnnotatedImage(NamedTuple):
    """An image and the people annotated in it, as their records stand in the annotation file."""

    image_id: int
    file: Path
    width: int
    height: int
    annotation_file: Path
    records: list[dict[str, Any]]

    @property
    def has_keypoints(self) -> bool:
        """Whether anyone in it is said to have a labelled keypoint."""
        return any(record.get("num_keypoints", 0) > 0 and not record.get("iscrowd", 0) for record in self.records)


class Person(NamedTuple):
    """A person or a crowd; keypoints (x, y, visibility) and box in pixels of the image file, area in its square pixels.

    Visibility is 0 if not labelled (then x and y are 0), 1 if labelled but hidden, 2 if visible.
    """

    keypoints: Float[np.ndarray, "17 3"]
    box_xyxy: Float[np.ndarray, " 4"]
    area: float
    is_crowd: bool
    segmentation: Any

    @property
    def is_labelled(self) -> bool:
        """Whether the person's keypoints can be trained on and asked for."""
        return not self.is_crowd and bool((self.keypoints[:, 2] > 0).any())


def read_annotations(file: Path, images: Path) -> list[AnnotatedImage]:
    """All images of a file, by id, whether there is someone in them or not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, lacks a part, or has an annotation of an image that it does not list.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing; put COCO's file there, or set FIRSTHAND_DATA to the folder of coco/"
        )
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}); fetch it again") from error
    if missing := [part for part in ("images", "annotations") if part not in content]:
        raise ValueError(f"{file} has no {missing[0]!r}; it must be an annotation file in COCO's format")
    listed: dict[int, AnnotatedImage] = {}
    for image in content["images"]:
        try:
            row = AnnotatedImage(
                int(image["id"]), images / image["file_name"], int(image["width"]), int(image["height"]), file, []
            )
        except KeyError as error:
            raise ValueError(f"{file}: image {image.get('id')} has no {error}; fetch the file again") from error
        listed[row.image_id] = row
    for record in content["annotations"]:
        image_id = record.get("image_id")
        if image_id not in listed:
            raise ValueError(
                f"{file}: annotation {record.get('id')} belongs to image {image_id}, which is not listed; remove the"
                " annotation or add the image"
            )
        listed[image_id].records.append(record)
    return [listed[image_id] for image_id in sorted(listed)]


def people_of(image: AnnotatedImage) -> list[Person]:
    """The people of an image.

    Raises:
        UnreadableSample: a record makes no sense.
    """
    return [_person(record, image) for record in image.records]


def _person(record: dict[str, Any], image: AnnotatedImage) -> Person:
    def unreadable(reason: str) -> UnreadableSample:
        return UnreadableSample(image.annotation_file, reason, record=f"annotation {record.get('id')}")

    if missing := [key for key in ("keypoints", "bbox", "area") if key not in record]:
        raise unreadable(f"it has no {missing[0]!r}")
    values, box = record["keypoints"], record["bbox"]
    if len(values) != 3 * len(KEYPOINTS):
        raise unreadable(f"{len(values)} numbers for keypoints, not the {3 * len(KEYPOINTS)} of {len(KEYPOINTS)}")
    keypoints = np.array(values, dtype=np.float32).reshape(-1, 3)
    if not np.isfinite(keypoints).all() or not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise unreadable("a keypoint is not (x, y, visibility 0, 1 or 2)")
    # NaN fails the comparison too.
    if not record["area"] > 0:
        raise unreadable(f"a person of area {record['area']}; it is what OKS measures distances by")
    if len(box) != 4 or not min(box[2:]) > 0:
        raise unreadable(f"its box {box} is not (x, y, width, height) of something")
    keypoints[keypoints[:, 2] == 0] = 0
    return Person(
        keypoints,
        np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], dtype=np.float32),
        float(record["area"]),
        bool(record.get("iscrowd", 0)),
        record.get("segmentation"),
    )


def ignored_pixels(image: AnnotatedImage, people: list[Person]) -> Bool[np.ndarray, "H W"]:
    """Where people are whose keypoints nobody labelled, and no one whose are.

    Raises:
        UnreadableSample: an outline makes no sense.
    """
    ignored = np.zeros((image.height, image.width), dtype=bool)
    if all(person.is_labelled for person in people):
        return ignored
    for is_labelled in (False, True):
        for person in people:
            if person.is_labelled == is_labelled:
                ignored[_outline(person, image)] = not is_labelled
    return ignored


def _outline(person: Person, image: AnnotatedImage) -> NDArray[np.bool_]:
    outline = person.segmentation
    height, width = image.height, image.width
    if not outline:
        left, top, right, bottom = (max(0, round(float(side))) for side in person.box_xyxy)
        box = np.zeros((height, width), dtype=bool)
        box[top:bottom, left:right] = True
        return box
    try:
        if isinstance(outline, list):
            encoded = coco_mask.merge(coco_mask.frPyObjects(outline, height, width))
        elif isinstance(outline["counts"], list):
            encoded = coco_mask.frPyObjects(outline, height, width)
        else:
            encoded = outline
        inside: NDArray[np.bool_] = coco_mask.decode(encoded).astype(bool)
    except (TypeError, KeyError, ValueError) as error:
        raise UnreadableSample(
            image.annotation_file, f"an outline cannot be drawn ({error})", record=f"image {image.image_id}"
        ) from error
    if inside.shape != (height, width):
        reason = f"an outline covers {inside.shape[1]} x {inside.shape[0]} pixels, the image has {width} x {height}"
        raise UnreadableSample(image.annotation_file, reason, record=f"image {image.image_id}")
    return inside
