"""C3D as a classifier of clips."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lightning_modules.c3d.network import C3D
from lightning_modules.pretrained import Weights
from lightning_modules.video_classifier import VideoClassifier


class C3DClassifier(VideoClassifier):
    """C3D with cross-entropy (https://arxiv.org/abs/1412.0767, section 3).

    Args:
        num_classes, width, batch_norm, hidden_features, pooled_size, dropout: see `C3D`.
        weights: with the paper's names of layers, see `VideoClassifier`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: float,
        batch_norm: bool,
        hidden_features: int,
        pooled_size: Sequence[int],
        dropout: float,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, weights=weights, optimizer=optimizer, scheduler=scheduler)
        self.save_hyperparameters()
        self.network = C3D(
            num_classes=num_classes,
            width=width,
            batch_norm=batch_norm,
            hidden_features=hidden_features,
            pooled_size=pooled_size,
            dropout=dropout,
        )

    @property
    def head(self) -> list[str]:
        return ["fc8.weight", "fc8.bias"]

    def translate(self, weights: Weights) -> Weights:
        return weights

    def looked_at(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 3 T H W"]:
        return clip
