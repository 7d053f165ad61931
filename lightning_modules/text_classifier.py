"""What every classifier of texts does with its network: training, evaluation, prediction."""

from abc import abstractmethod
from pathlib import Path
from typing import final

from jaxtyping import Float, Int64
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import PADDING, TextBatch, TextClassificationBatch
from lightning_modules.attention_pictures import TextPrediction, attention_page, draw_attention
from lightning_modules.class_pictures import most_probable_classes
from lightning_modules.classification_metrics import ClassificationMetrics
from lightning_modules.split_steps import SplitSteps


class TextClassifier(SplitSteps):
    """Cross-entropy on a linear layer over the text's summary; logs loss, accuracy, in evaluation F1 and calibration.

    The constructor of a kind of classifier sets `network`, whose `forward` gives an `EncodedText`, and which has
    `attention` for the pictures.

    Args:
        dim: of the summary.
        head_dropout: on the summary.
    """

    network: nn.Module

    def __init__(self, *, num_classes: int, dim: int, head_dropout: float) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Dropout(head_dropout), nn.Linear(dim, num_classes))
        self.metrics = ClassificationMetrics(num_classes)

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    def forward(self, token: Int64[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        scores: Tensor = self.head(self.network(token).summary)
        return scores

    @final
    def _step(self, batch: TextClassificationBatch, split: str) -> Tensor:
        token, label = batch
        logits = self(token)
        loss = F.cross_entropy(logits, label)
        self.metrics.update(split, logits, label, loss=loss)
        return loss

    @final
    def _log_epoch(self, split: str) -> None:
        self.metrics.log_epoch(self, split)

    @final
    def predict_step(self, batch: TextBatch, batch_idx: int) -> list[TextPrediction]:
        """For each text its five most probable classes, and what every head of every layer looks at."""
        token, texts, spans = batch
        classes = most_probable_classes(self(token).softmax(dim=1), count=5)
        assert callable(self.network.attention)
        attention = self.network.attention(token)
        lengths = (token != PADDING).sum(dim=1).tolist()
        return [
            TextPrediction(
                classes=top,
                text=text,
                spans=[list(span) for span in places],
                attention=looked_at[:, :, :length].round(decimals=4).tolist(),
            )
            for top, text, places, looked_at, length in zip(classes, texts, spans, attention, lengths, strict=True)
        ]

    @final
    def draw(self, file: Path, prediction: TextPrediction, class_names: list[str]) -> Image.Image:
        """The text, darker where the heads look on average over them and layers, and its classes beside it."""
        return draw_attention(file.name, prediction, class_names)

    @final
    def page(self, files: list[Path], predictions: list[TextPrediction], class_names: list[str]) -> str:
        """All texts as one HTML document, with a choice of layer and head."""
        return attention_page([file.name for file in files], predictions, class_names)
