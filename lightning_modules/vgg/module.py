"""VGG as a classifier of images: training, evaluation, prediction."""

from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from datamodules.batches import ImageBatch, ImageClassificationBatch
from lightning_modules.class_pictures import ClassProbability, draw_classification, most_probable_classes
from lightning_modules.optimization import build_optimization
from lightning_modules.split_metrics import SplitMetrics, log_step
from lightning_modules.vgg.network import VGG


class VGGClassifier(LightningModule):
    """VGG with cross-entropy (https://arxiv.org/abs/1409.1556, section 3.1); logs loss and accuracy of every split.

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
        super().__init__()
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
        accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.metrics = SplitMetrics(MetricCollection({"accuracy": accuracy}))

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        scores: Tensor = self.network(image)
        return scores

    def _step(self, batch: ImageClassificationBatch, split: str) -> Tensor:
        image, label = batch
        logits = self(image)
        loss = F.cross_entropy(logits, label)
        self.metrics.update(split, logits, label, loss=loss)
        return loss

    def training_step(self, batch: ImageClassificationBatch, batch_idx: int) -> Tensor:
        loss = self._step(batch, "train")
        log_step(self, "train/loss_step", loss)
        return loss

    def validation_step(self, batch: ImageClassificationBatch, batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: ImageClassificationBatch, batch_idx: int) -> None:
        self._step(batch, "test")

    def on_train_epoch_end(self) -> None:
        self.metrics.log_epoch(self, "train")

    def on_validation_epoch_end(self) -> None:
        self.metrics.log_epoch(self, "val")

    def on_test_epoch_end(self) -> None:
        self.metrics.log_epoch(self, "test")

    def predict_step(self, batch: ImageBatch, batch_idx: int) -> list[list[ClassProbability]]:
        """For each image its five most probable classes, the most probable first."""
        return most_probable_classes(self(batch.image).softmax(dim=1), count=5)

    def draw(self, file: Path, prediction: list[ClassProbability], class_names: list[str]) -> Image.Image:
        """The user's image with the predicted classes beside it."""
        return draw_classification(file, prediction, class_names)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )
