"""What every classifier of clips does with its network: training, evaluation, prediction of whole videos."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import ClipBatch, ClipClassificationBatch
from lightning_modules.class_pictures import most_probable_classes
from lightning_modules.classification_metrics import ClassificationMetrics
from lightning_modules.optimization import build_optimization
from lightning_modules.pretrained import LoadingReport, Weights, load_weights_, read_weights
from lightning_modules.split_steps import SplitSteps
from lightning_modules.video_pictures import (
    Animation,
    VideoPrediction,
    WindowPrediction,
    animate_classification,
    draw_film_strip,
)


class VideoClassifier(SplitSteps):
    """Cross-entropy; logs loss and accuracy of every split, of `val` and `test` also macro F1 and calibration error.

    A test ends with a picture of the confusion matrix. The constructor of a kind of classifier sets `network`.

    Args:
        weights: a state dict's or checkpoint's file, or None for initial ones. They are loaded by
            `load_pretrained_weights` only.
        optimizer, scheduler: see `build_optimization`.
    """

    network: nn.Module

    def __init__(
        self,
        *,
        num_classes: int,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.weights = weights
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.metrics = ClassificationMetrics(num_classes)

    @property
    @abstractmethod
    def head(self) -> list[str]:
        """Names of the parameters whose shape depends on the number of classes."""

    @abstractmethod
    def translate(self, weights: Weights) -> Weights:
        """Weights as they are published, under the names that this network has for them."""

    @abstractmethod
    def looked_at(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B 3 T H W"]:
        """The frames that the network is to see for each of the windows of one video, which are in order."""

    @final
    def load_pretrained_weights(self) -> LoadingReport | None:
        """Load all but a head for other classes; what was loaded.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the weights are damaged or another architecture's.
        """
        if self.weights is None:
            return None
        return load_weights_(self.network, self.translate(read_weights(Path(self.weights))), new=self.head)

    @final
    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B K"]:
        scores: Tensor = self.network(clip)
        return scores

    @final
    def _step(self, batch: ClipClassificationBatch, split: str) -> Tensor:
        clip, label = batch
        logits = self(clip)
        loss = F.cross_entropy(logits, label)
        self.metrics.update(split, logits, label, loss=loss)
        return loss

    @final
    def _log_epoch(self, split: str) -> None:
        self.metrics.log_epoch(self, split)

    @final
    def predict_step(self, batch: ClipBatch, batch_idx: int) -> list[VideoPrediction]:
        """Of one video: after each window what is most probable by then, and in the end for the whole.

        What is probable is the mean over the windows so far.
        """
        clip, begin_end_s = batch
        probability = self(self.looked_at(clip)).softmax(dim=1)
        num_windows = probability.new_ones(len(clip), 1).cumsum(dim=0)
        by_then = most_probable_classes(probability.cumsum(dim=0) / num_windows, count=5)
        windows = [
            WindowPrediction(begin_s=begin, end_s=end, classes=classes)
            for (begin, end), classes in zip(begin_end_s.tolist(), by_then, strict=True)
        ]
        return [VideoPrediction(classes=by_then[-1], windows=windows)]

    @final
    def draw(self, file: Path, prediction: VideoPrediction, class_names: list[str]) -> Image.Image:
        """Some frames of the video and the predicted classes."""
        return draw_film_strip(file, prediction, class_names)

    @final
    def animate(self, file: Path, prediction: VideoPrediction, class_names: list[str]) -> Animation:
        """The video with the class that is most probable by then."""
        return animate_classification(file, prediction, class_names)
