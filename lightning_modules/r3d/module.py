"""3D ResNet-18 as a classifier of clips."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from lightning_modules.pretrained import Weights
from lightning_modules.r3d.network import R3D18
from lightning_modules.video_classifier import VideoClassifier


class R3DClassifier(VideoClassifier):
    """3D ResNet-18 with cross-entropy (https://arxiv.org/abs/1711.11248).

    Args:
        num_classes, width: see `R3D18`.
        weights: such as torchvision's file r3d_18-b3b3357e.pth, see `VideoClassifier`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: float,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, weights=weights, optimizer=optimizer, scheduler=scheduler)
        self.save_hyperparameters()
        self.network = R3D18(num_classes=num_classes, width=width)

    @property
    def head(self) -> list[str]:
        return ["fc.weight", "fc.bias"]

    def translate(self, weights: Weights) -> Weights:
        return weights

    def looked_at(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 3 T H W"]:
        return clip
