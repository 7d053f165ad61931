"""What every classifier of images does with its network: training, evaluation, prediction."""

from abc import abstractmethod
from pathlib import Path
from typing import final

from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import ImageBatch, ImageClassificationBatch
from lightning_modules.class_pictures import (
    ImagePrediction,
    draw_classification,
    most_probable_classes,
)
from lightning_modules.classification_metrics import ClassificationMetrics
from lightning_modules.grad_cam import explain_highest_class
from lightning_modules.split_steps import SplitSteps


class ImageClassifier(SplitSteps):
    """Cross-entropy; logs loss and accuracy of every split, of `val` and `test` also macro F1 and calibration error.

    A test ends with a picture of the confusion matrix. The constructor of a kind of classifier sets `network`.
    """

    network: nn.Module

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.metrics = ClassificationMetrics(num_classes)

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        scores: Tensor = self.network(image)
        return scores

    @final
    def _step(self, batch: ImageClassificationBatch, split: str) -> Tensor:
        image, label = batch
        logits = self(image)
        loss = F.cross_entropy(logits, label)
        self.metrics.update(split, logits, label, loss=loss)
        return loss

    @final
    def _log_epoch(self, split: str) -> None:
        self.metrics.log_epoch(self, split)

    @final
    def predict_step(self, batch: ImageBatch, batch_idx: int) -> list[ImagePrediction]:
        """For each image its five most probable classes, the most probable first, and where that one is seen."""
        logits, evidence = explain_highest_class(self.network, batch.image)
        classes = most_probable_classes(logits.softmax(dim=1), count=5)
        maps = [None] * len(classes) if evidence is None else evidence.round(decimals=3).tolist()
        seen = [[0.0, 0.0, 1.0, 1.0]] * len(classes) if batch.seen_xyxy is None else batch.seen_xyxy.tolist()
        return [
            ImagePrediction(classes=top, evidence=places, seen_xyxy=part)
            for top, places, part in zip(classes, maps, seen, strict=True)
        ]

    @final
    def draw(self, file: Path, prediction: ImagePrediction, class_names: list[str]) -> Image.Image:
        """The user's image, where in it the first class is seen, and the predicted classes beside it."""
        return draw_classification(file, prediction, class_names)
