"""What a detector of anomalies by reconstruction says of an image."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class Verdict(NamedTuple):
    """The nearest image that the generator makes, and how far it is from the image itself.

    Attributes:
        residual: sum over pixels of absolute differences.
        discrimination: the same over the discriminator's features.
        score: both, weighted; the higher the more anomalous.
        heat: absolute difference of each pixel, the mean over channels and neighbours.
    """

    reconstruction: Float[Tensor, "B C H W"]
    residual: Float[Tensor, " B"]
    discrimination: Float[Tensor, " B"]
    score: Float[Tensor, " B"]
    heat: Float[Tensor, "B H W"]


def compare(
    image: Float[Tensor, "B C H W"],
    reconstruction: Float[Tensor, "B C H W"],
    features: Float[Tensor, "B D"],
    reconstructed_features: Float[Tensor, "B D"],
    *,
    discrimination_weight: float,
) -> Verdict:
    """AnoGAN's score (https://arxiv.org/abs/1703.05921, equations 2, 4 and 5)."""
    difference = (image - reconstruction).abs()
    residual = difference.flatten(start_dim=1).sum(dim=1)
    discrimination = (features - reconstructed_features).abs().sum(dim=1)
    score = torch.lerp(residual, discrimination, discrimination_weight)
    heat = F.avg_pool2d(difference.mean(dim=1, keepdim=True), kernel_size=3, stride=1, padding=1)
    return Verdict(reconstruction, residual, discrimination, score, heat[:, 0])
