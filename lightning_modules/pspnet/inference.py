"""Class probabilities from windows over an image, at several scales and mirrored (the paper's section 5.1)."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

Network = Callable[[Tensor], Tensor]

# Neighbouring windows share a third of their side, as in the authors' code.
_STRIDE = 2 / 3


def most_probable(scores: Float[Tensor, "B K H W"]) -> Int64[Tensor, "B H W"]:
    """The class of every pixel, the first of equals.

    On a CPU `argmax` over this axis takes seven times as long: 9.0 instead of 1.4 ms at 8 x 5 x 97 x 97.
    """
    return scores.max(dim=1).indices


def multi_scale_probability(
    network: Network, image: Float[Tensor, "B 3 H W"], *, scales: list[float], mirror: bool, window: int | None
) -> Float[Tensor, "B K H W"]:
    """The mean of the probabilities at each scale, brought back to the image's size.

    Args:
        network: gives logits at the resolution of what it gets.
        scales: factors on the sides.
        mirror: beside each image take its mirror image.
        window: see `sliding_window_probability`; null shows the network whole images.
    """
    size = (image.shape[2], image.shape[3])
    views = []
    for scale in scales:
        scaled_size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        scaled = _resize(image, scaled_size)
        views.append(_resize(_probability(network, scaled, window=window), size))
        if mirror:
            mirrored = _probability(network, scaled.flip(dims=[3]), window=window).flip(dims=[3])
            views.append(_resize(mirrored, size))
    return torch.stack(views).mean(dim=0)


def sliding_window_probability(
    network: Network, image: Float[Tensor, "B 3 H W"], *, window: int
) -> Float[Tensor, "B K H W"]:
    """Probabilities from windows of the size that a network was trained at, averaged where they overlap.

    Args:
        window: side in pixels; an image shorter than it is shown with its own height or width.
    """
    height, width = image.shape[2:]
    total: Tensor | None = None
    visits = image.new_zeros(height, width)
    for top in _starts(height, window):
        for left in _starts(width, window):
            rows, columns = slice(top, top + window), slice(left, left + window)
            probability = network(image[:, :, rows, columns]).softmax(dim=1)
            if total is None:
                total = probability.new_zeros(*probability.shape[:2], height, width)
            total[:, :, rows, columns] += probability
            visits[rows, columns] += 1
    assert total is not None
    return total / visits


def _probability(network: Network, image: Tensor, *, window: int | None) -> Tensor:
    if window is None:
        return network(image).softmax(dim=1)
    return sliding_window_probability(network, image, window=window)


def _starts(length: int, window: int) -> list[int]:
    """Where windows begin that cover a side, the last one flush with its end."""
    if length <= window:
        return [0]
    stride = math.ceil(window * _STRIDE)
    return [*range(0, length - window, stride), length - window]


def _resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(values.shape[2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=True)
