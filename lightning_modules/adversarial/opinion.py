"""What a judge of images says."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Opinion(NamedTuple):
    """What a judge sees: its last hidden features, and the probability of each class of the data that it knows."""

    features: Float[Tensor, "B D"]
    probability: Float[Tensor, "B K"]
