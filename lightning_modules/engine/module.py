"""The multi-layer perceptron as a classifier of images."""

from typing import Any

from pytorch_lightning.utilities.types import OptimizerLRScheduler

from lightning_modules.engine.network import MLP
from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.optimization import build_optimization


class MLPClassifier(ImageClassifier):
    """A multi-layer perceptron with cross-entropy.

    Args:
        image_size: side of the square images in pixels.
        hidden_features: widths of the hidden layers.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        hidden_features: list[int],
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes)
        self.save_hyperparameters()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = MLP(
            num_features=in_channels * image_size**2, hidden_features=hidden_features, num_classes=num_classes
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )
