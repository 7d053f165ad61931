"""Where a convolutional classifier sees the class that it names: Grad-CAM (https://arxiv.org/abs/1610.02391)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import VisionTransformer

# A map of fewer places says nothing about where.
_SMALLEST_MAP = 4


class Explained(NamedTuple):
    """Class scores, and for the highest of each image how much every place spoke for it, the largest being 1."""

    logits: Float[Tensor, "B K"]
    evidence: Float[Tensor, "B h w"] | None


def explain_highest_class(network: nn.Module, image: Float[Tensor, "B C H W"]) -> Explained:
    """Section 3, equations 1 and 2, on the last map of at least 4 x 4 places; a network without one is not explained.

    A vision transformer has such a map at its first layer only, where Grad-CAM does not apply.
    """
    maps: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) >= _SMALLEST_MAP:
            maps.append(output)

    hooks = [module.register_forward_hook(keep) for module in network.modules()]
    try:
        # Evaluation may run in inference mode, whose tensors have no gradients; nor have frozen weights.
        with torch.inference_mode(mode=False), torch.enable_grad():
            logits: Tensor = network(image.clone().requires_grad_())
            if not maps or isinstance(network, VisionTransformer):
                return Explained(logits.detach(), None)
            (slope,) = torch.autograd.grad(logits.max(dim=1).values.sum(), maps[-1])
    finally:
        for hook in hooks:
            hook.remove()
    weight = slope.mean(dim=(2, 3), keepdim=True)
    evidence = (weight * maps[-1].detach()).sum(dim=1).relu()
    largest = evidence.amax(dim=(1, 2), keepdim=True)
    return Explained(logits.detach(), evidence / largest.clamp(min=torch.finfo(evidence.dtype).tiny))
