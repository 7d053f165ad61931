"""What a detector of anomalies by reconstruction says of an image."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class Verdict(NamedTuple):
    """The nearest image that the generator makes, and how far it is from the image itself.

    Attributes:
        residual: how far the pixels are apart, see `MEASURES`.
        discrimination: how far the discriminator's features are.
        score: both, weighted; the higher the more anomalous.
        heat: absolute difference of each pixel, the mean over channels and neighbours.
    """

    reconstruction: Float[Tensor, "B C H W"]
    residual: Float[Tensor, " B"]
    discrimination: Float[Tensor, " B"]
    score: Float[Tensor, " B"]
    heat: Float[Tensor, "B H W"]


# Of heat maps: single pixels say little.
_HEAT_BLUR = 3

Measure = Literal["sum", "share"]


def sum_of_differences(first: Float[Tensor, "B *n"], second: Float[Tensor, "B *n"]) -> Float[Tensor, " B"]:
    """The paper's measure. An image with little in it can only differ a little."""
    return (first - second).abs().flatten(start_dim=1).sum(dim=1)


def share_of_differences(first: Float[Tensor, "B *n"], second: Float[Tensor, "B *n"]) -> Float[Tensor, " B"]:
    """The same over what both hold together, 0 to 1 (Bray and Curtis 1957, https://doi.org/10.2307/1942268)."""
    held = (first.abs() + second.abs()).flatten(start_dim=1).sum(dim=1)
    return sum_of_differences(first, second) / held.clamp(min=torch.finfo(held.dtype).tiny)


MEASURES = {"sum": sum_of_differences, "share": share_of_differences}


class Scoring(NamedTuple):
    """How images and reconstructions are compared.

    Attributes:
        measure: see `MEASURES`; the paper's is `sum`.
        blur: side in pixels of the mean through which both are seen: a stroke a pixel aside is no anomaly. 1 is the
            paper's.
        discrimination_weight: lambda of the score; the paper's 0.1.
    """

    measure: Measure
    blur: int
    discrimination_weight: float


def check_blur(blur: int) -> None:
    """Raise ValueError if it is no side of a mean around a pixel."""
    if blur < 1 or blur % 2 == 0:
        raise ValueError(f"blur={blur}: give the side of a square around a pixel, 1 (none), 3, 5 or 7")


def compare(
    image: Float[Tensor, "B C H W"],
    reconstruction: Float[Tensor, "B C H W"],
    features: Float[Tensor, "B D"],
    reconstructed_features: Float[Tensor, "B D"],
    scoring: Scoring,
) -> Verdict:
    """AnoGAN's score (https://arxiv.org/abs/1703.05921, equations 2, 4 and 5).

    Pixels count from black, which is -1, as what an image holds. Under autocast what a network gave has fewer digits.
    """
    reconstruction, features = reconstruction.to(image), features.to(image)
    reconstructed_features = reconstructed_features.to(image)
    difference = MEASURES[scoring.measure]
    residual = difference(_mean_around(image + 1, scoring.blur), _mean_around(reconstruction + 1, scoring.blur))
    discrimination = difference(features, reconstructed_features)
    score = torch.lerp(residual, discrimination, scoring.discrimination_weight)
    heat = _mean_around((image - reconstruction).abs().mean(dim=1, keepdim=True), _HEAT_BLUR)
    return Verdict(reconstruction, residual, discrimination, score, heat[:, 0])


def _mean_around(image: Float[Tensor, "B C H W"], side: int) -> Float[Tensor, "B C H W"]:
    return F.avg_pool2d(image, kernel_size=side, stride=1, padding=side // 2)
