"""Losses of a segmentation, over the pixels of a batch that are not void; 0, with a gradient of 0, where all are."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import VOID
from lightning_modules.components import arguments_of


class CrossEntropy(nn.Module):
    """The mean over pixels of the negative logarithm of the true class's probability."""

    def forward(self, logits: Float[Tensor, "B K H W"], mask: Int64[Tensor, "B H W"]) -> Float[Tensor, ""]:
        total = F.cross_entropy(logits, mask, ignore_index=VOID, reduction="sum")
        return total / _num_counted(mask)


class Focal(nn.Module):
    """Cross-entropy that turns away from what is right already (https://arxiv.org/abs/1708.02002, equation 4).

    Args:
        gamma: the power of the missing probability that a pixel's cross-entropy is multiplied by; the paper's is 2.

    Raises:
        ValueError: gamma is negative.
    """

    def __init__(self, *, gamma: float) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"loss.gamma={gamma} would favour what is right already; choose 0 or more")
        self.gamma = gamma

    def forward(self, logits: Float[Tensor, "B K H W"], mask: Int64[Tensor, "B H W"]) -> Float[Tensor, ""]:
        surprise = F.cross_entropy(logits, mask, ignore_index=VOID, reduction="none")
        # One minus the true class's probability. A power below 1 has no gradient at 0, where void pixels are.
        missing = (-torch.expm1(-surprise)).clamp(min=torch.finfo(surprise.dtype).eps)
        return (missing.pow(self.gamma) * surprise).sum() / _num_counted(mask)


class Dice(nn.Module):
    """One minus the overlap of each class that is present, by squares (https://arxiv.org/abs/1606.04797, section 3)."""

    def forward(self, logits: Float[Tensor, "B K H W"], mask: Int64[Tensor, "B H W"]) -> Float[Tensor, ""]:
        probability, is_class = _counted_pixels(logits, mask)
        shared = (probability * is_class).sum(dim=0)
        size = probability.square().sum(dim=0) + is_class.sum(dim=0)
        return _mean_over_present(1 - 2 * shared / size.clamp(min=1), is_class)


class Lovasz(nn.Module):
    """Lovász-Softmax: one minus the IoU of each class that is present, continued (https://arxiv.org/abs/1705.08790).

    It grows linearly between the right and the wrong class of a pixel, and is one minus the mean IoU of the batch
    where all probabilities are 0 or 1.
    """

    def forward(self, logits: Float[Tensor, "B K H W"], mask: Int64[Tensor, "B H W"]) -> Float[Tensor, ""]:
        probability, is_class = _counted_pixels(logits, mask)
        error, order = (is_class.to(probability.dtype) - probability).abs().sort(dim=0, descending=True)
        is_class_sorted = is_class.gather(0, order)
        # If the first n pixels were wrong and the others right: what the class would share, and cover (algorithm 1).
        shared = is_class.sum(dim=0) - is_class_sorted.cumsum(dim=0)
        covered = is_class.sum(dim=0) + (~is_class_sorted).cumsum(dim=0)
        jaccard_loss = 1 - shared / covered.clamp(min=1)
        step = torch.diff(jaccard_loss, dim=0, prepend=jaccard_loss.new_zeros(1, jaccard_loss.shape[1]))
        return _mean_over_present((error * step).sum(dim=0), is_class)


_LOSSES: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (CrossEntropy, Focal, Dice, Lovasz)}


def build_loss(loss: dict[str, Any]) -> nn.Module:
    """The loss that a plain dict names.

    Raises:
        ValueError: its `_target_` is not a loss of this file.
    """
    module, _, name = str(loss.get("_target_")).rpartition(".")
    if module != __name__ or name not in _LOSSES:
        raise ValueError(f"model.loss._target_={loss.get('_target_')}: choose {__name__}.{{{', '.join(_LOSSES)}}}")
    return _LOSSES[name](**arguments_of(loss))


def _num_counted(mask: Int64[Tensor, "B H W"]) -> Int64[Tensor, ""]:
    return (mask != VOID).sum().clamp(min=1)


def _counted_pixels(
    logits: Float[Tensor, "B K H W"], mask: Int64[Tensor, "B H W"]
) -> tuple[Float[Tensor, "n K"], Bool[Tensor, "n K"]]:
    """Of every pixel that is not void the probability of each class, and whether it is the true one."""
    is_counted = mask != VOID
    # At least in single precision: sums over the pixels of a batch are long.
    precision = torch.promote_types(logits.dtype, torch.float32)
    probability = logits.softmax(dim=1, dtype=precision).movedim(1, -1)[is_counted]
    is_class = F.one_hot(mask[is_counted], num_classes=logits.shape[1]).bool()
    return probability, is_class


def _mean_over_present(loss: Float[Tensor, " K"], is_class: Bool[Tensor, "n K"]) -> Float[Tensor, ""]:
    is_present = is_class.any(dim=0)
    return (loss * is_present).sum() / is_present.sum().clamp(min=1)
