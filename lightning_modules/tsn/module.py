"""TSN as a classifier of clips; with `data.num_frames=1` it sees a single frame."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from lightning_modules.pretrained import Weights
from lightning_modules.tsn.network import TSN
from lightning_modules.video_classifier import VideoClassifier


class TSNClassifier(VideoClassifier):
    """Temporal segment network on colour frames with cross-entropy (https://arxiv.org/abs/1608.00859).

    Args:
        num_classes, backbone, width, dropout: see `TSN`.
        weights: of the network for images, under its own names, see `VideoClassifier`.
        optimizer, scheduler: see `build_optimization`.
    """

    network: TSN

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: str,
        width: float,
        dropout: float,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, weights=weights, optimizer=optimizer, scheduler=scheduler)
        self.save_hyperparameters()
        self.network = TSN(num_classes=num_classes, backbone=backbone, width=width, dropout=dropout)

    @property
    def head(self) -> list[str]:
        return self.network.head

    def translate(self, weights: Weights) -> Weights:
        named = {f"frame_network.{name.removeprefix('frame_network.')}": v for name, v in weights.state.items()}
        return Weights(weights.source, named)

    def looked_at(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 3 T H W"]:
        return clip
