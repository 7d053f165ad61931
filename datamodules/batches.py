"""What travels from a data set to a model: one named tuple per kind of target.

Any data set may be paired with any model that takes its kind of batch: `train_dataloader` and `_step` name the kind in
their annotations, and the preflight compares the two. Targets are raw (labels, boxes, masks); a model encodes them.
"""

from typing import NamedTuple

from jaxtyping import Float, Int64
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
