"""VGG as a classifier of images, trained from its beginning; `lightning_modules.transfer` starts from weights."""

from typing import Any

from pytorch_lightning.utilities.types import OptimizerLRScheduler

from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.optimization import build_optimization
from lightning_modules.vgg.network import VGG


class VGGClassifier(ImageClassifier):
    """VGG with cross-entropy (https://arxiv.org/abs/1409.1556, section 3.1).

    Args:
        num_classes, depth, batch_norm, in_channels, width, hidden_features, pooled_size, dropout: see `VGG`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        depth: int,
        batch_norm: bool,
        in_channels: int,
        width: float,
        hidden_features: int,
        pooled_size: int,
        dropout: float,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes)
        self.save_hyperparameters()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = VGG(
            num_classes=num_classes,
            depth=depth,
            batch_norm=batch_norm,
            in_channels=in_channels,
            width=width,
            hidden_features=hidden_features,
            pooled_size=pooled_size,
            dropout=dropout,
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )
