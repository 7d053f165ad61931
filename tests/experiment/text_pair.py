"""A model of another kind than those of images, for the preflight's tests; only its source is read."""

from typing import NamedTuple

from pytorch_lightning import LightningModule
from torch import Tensor


class TextBatch(NamedTuple):
    tokens: Tensor


class TextClassifier(LightningModule):
    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def _step(self, batch: TextBatch, split: str) -> Tensor:
        raise NotImplementedError
