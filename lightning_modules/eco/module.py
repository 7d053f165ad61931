"""ECO as a classifier of clips."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from lightning_modules.eco.network import ECO
from lightning_modules.eco.online import working_memories
from lightning_modules.eco.published_weights import translate_caffe_names
from lightning_modules.pretrained import Weights
from lightning_modules.video_classifier import VideoClassifier


class ECOClassifier(VideoClassifier):
    """ECO-Lite or ECO-Full with cross-entropy (https://arxiv.org/abs/1804.09066).

    Args:
        num_classes, front, map_layer, is_full, width, dropout: see `ECO`.
        has_memory: predict the windows of a video with what was seen before them, see `working_memories`; False
            looks at each alone.
        weights: under our names or the authors', see `VideoClassifier`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        front: str,
        map_layer: str | None,
        is_full: bool,
        width: float,
        dropout: float,
        has_memory: bool,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, weights=weights, optimizer=optimizer, scheduler=scheduler)
        self.save_hyperparameters()
        self.has_memory = has_memory
        self.network = ECO(
            num_classes=num_classes, front=front, map_layer=map_layer, is_full=is_full, width=width, dropout=dropout
        )

    @property
    def head(self) -> list[str]:
        return ["fc.weight", "fc.bias"]

    def translate(self, weights: Weights) -> Weights:
        return translate_caffe_names(weights)

    def looked_at(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 3 T H W"]:
        return working_memories(clip) if self.has_memory else clip
