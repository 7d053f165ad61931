"""What every classifier is judged by, whatever it classifies."""

from pytorch_lightning import LightningModule
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from lightning_modules.class_pictures import draw_confusion_matrix
from lightning_modules.logged_pictures import log_pictures
from lightning_modules.split_metrics import SplitMetrics

# Of the calibration error (https://arxiv.org/abs/1706.04599, section 2).
_NUM_BINS = 15


class ClassificationMetrics(SplitMetrics):
    """Loss and accuracy of every split, of `val` and `test` also macro F1 and calibration error.

    A test ends with a picture of the confusion matrix.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(
            MetricCollection({"accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False)}),
            in_evaluation=MetricCollection(
                {
                    "macro_f1": MulticlassF1Score(num_classes, average="macro", validate_args=False),
                    "calibration_error": MulticlassCalibrationError(num_classes, n_bins=_NUM_BINS, validate_args=False),
                }
            ),
        )
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)

    def update(self, split: str, prediction: Tensor, target: Tensor, *, loss: Tensor) -> None:
        """Take in a batch's logits (B, K) and labels (B,)."""
        # torchmetrics takes logits that happen to lie between 0 and 1 for probabilities.
        super().update(split, prediction.softmax(dim=1), target, loss=loss)
        if split == "test":
            self.confusion.update(prediction, target)

    def log_epoch(self, module: LightningModule, split: str) -> None:
        """Log `split/quantity` over the whole split and all processes, and start anew."""
        super().log_epoch(module, split)
        if split != "test":
            return
        count = self.confusion.compute().cpu()
        self.confusion.reset()
        datamodule = getattr(module.trainer, "datamodule", None)
        names = getattr(datamodule, "class_names", None) or [str(label) for label in range(len(count))]
        log_pictures(module.trainer, "test/confusion_matrix", [draw_confusion_matrix(count, names)])
