"""What travels from a data set to a model: one named tuple per kind of target.

Any data set may be paired with any model that takes its kind of batch: `train_dataloader` and `_step` name the kind in
their annotations, and the preflight compares the two. Targets are raw (labels, boxes, masks); a model encodes them.
"""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int64
from torch import Tensor


class ImageBatch(NamedTuple):
    """Normalised images without targets, for prediction.

    `seen_xyxy` is the part of each file that the image shows, as fractions of its width and height; None is all of it.
    """

    image: Float[Tensor, "B C H W"]
    seen_xyxy: Float[Tensor, "B 4"] | None = None


class ImageClassificationBatch(NamedTuple):
    """Normalised images, and for each the index of its class."""

    image: Float[Tensor, "B C H W"]
    label: Int64[Tensor, " B"]


class SizedImageBatch(NamedTuple):
    """Normalised images without targets, and the height and width in pixels of the file that each was made from."""

    image: Float[Tensor, "B C H W"]
    file_height_width: Int64[Tensor, "B 2"]


class DetectionBatch(NamedTuple):
    """Normalised images, and for each its objects; an image may have none.

    Boxes are in pixels of `image`, from the left and upper edge of an object's first pixel to the right and lower edge
    of its last. `label` counts from 0, without a background. What is difficult is not asked for, nor is finding it an
    error.
    """

    image: Float[Tensor, "B C H W"]
    boxes_xyxy: list[Float[Tensor, "G 4"]]
    label: list[Int64[Tensor, " G"]]
    is_difficult: list[Bool[Tensor, " G"]]


# The label of pixels that count neither in training nor in evaluation.
VOID = 255


class SegmentationBatch(NamedTuple):
    """Normalised images, and for each pixel the index of its class or `VOID`."""

    image: Float[Tensor, "B C H W"]
    mask: Int64[Tensor, "B H W"]


class KeypointBatch(NamedTuple):
    """Normalised images, and the people in them as COCO describes them, in pixels of the image.

    A keypoint is (x, y, visibility): 0 not labelled, then x and y mean nothing; 1 labelled but hidden; 2 visible. An
    image with fewer people than the batch's most populous one ends in rows of nobody: all zero, area included.
    `is_ignored` marks pixels of crowds and of people whose keypoints nobody labelled.
    """

    image: Float[Tensor, "B C H W"]
    keypoints: Float[Tensor, "B G J 3"]
    box_xyxy: Float[Tensor, "B G 4"]
    area: Float[Tensor, "B G"]
    is_crowd: Bool[Tensor, "B G"]
    is_ignored: Bool[Tensor, "B H W"]
    image_id: Int64[Tensor, " B"]


# Fills a sequence of tokens up to its batch's longest; no vocabulary gives this number to anything else.
PADDING = 0
# In place of a token that a masked language model need not predict.
NOT_HIDDEN = -1


class TextBatch(NamedTuple):
    """Texts without targets, for prediction.

    `spans` has for each token which characters of `text` it stands for; start and end are equal for a token that
    stands for none.
    """

    token: Int64[Tensor, "B L"]
    text: list[str]
    spans: list[list[tuple[int, int]]]


class HiddenTextBatch(NamedTuple):
    """Texts of which some tokens are hidden, to be guessed; see `TextBatch`."""

    token: Int64[Tensor, "B L"]
    text: list[str]
    spans: list[list[tuple[int, int]]]
    is_hidden: Bool[Tensor, "B L"]


class TextClassificationBatch(NamedTuple):
    """Texts as tokens, and for each the index of its class."""

    token: Int64[Tensor, "B L"]
    label: Int64[Tensor, " B"]


class MaskedTextBatch(NamedTuple):
    """Pairs of passages with some tokens hidden, for pre-training.

    `segment` is 0 in the first passage and 1 in the second; `hidden` is what stood where something is hidden, elsewhere
    `NOT_HIDDEN`; `is_next` says whether the second passage follows the first.
    """

    token: Int64[Tensor, "B L"]
    segment: Int64[Tensor, "B L"]
    hidden: Int64[Tensor, "B L"]
    is_next: Bool[Tensor, " B"]


class ClipBatch(NamedTuple):
    """Windows of one video in order, normalised and without targets, and the seconds in which each begins and ends."""

    clip: Float[Tensor, "B C T H W"]
    begin_end_s: Float[Tensor, "B 2"]


class ClipClassificationBatch(NamedTuple):
    """Normalised clips of equally many frames, and for each the index of its class."""

    clip: Float[Tensor, "B C T H W"]
    label: Int64[Tensor, " B"]


class AnomalyBatch(NamedTuple):
    """Normalised images, whether each is anomalous, and where; in training none is.

    `kind` says which sort of image it is (index into the data's names of kinds), for scores of each sort of anomaly.
    `defect` is 1 where the image is anomalous, 0 where it is not, `VOID` where nobody can say. `distance` is that to
    the nearest training image in pixel values, a baseline for any score; None in training.
    """

    image: Float[Tensor, "B C H W"]
    kind: Int64[Tensor, " B"]
    is_anomalous: Bool[Tensor, " B"]
    defect: Int64[Tensor, "B H W"]
    distance: Float[Tensor, " B"] | None
