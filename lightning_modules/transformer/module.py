"""The Transformer's encoder as a classifier of texts."""

from typing import Any

from pytorch_lightning.utilities.types import OptimizerLRScheduler

from lightning_modules.optimization import build_optimization
from lightning_modules.text_classifier import TextClassifier
from lightning_modules.transformer.network import Activation, Positions, Summary, Transformer


class TransformerClassifier(TextClassifier):
    """The encoder (https://arxiv.org/abs/1706.03762, section 3) and a linear layer on its summary.

    Args:
        num_classes: of the texts.
        vocabulary_size, max_length, num_layers, dim, num_heads, hidden_features, dropout, attention_dropout,
            activation, norm_first, positions, embedding_std, embedding_factor, summary: see `Transformer`.
        head_dropout: on the summary.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        vocabulary_size: int,
        max_length: int,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        head_dropout: float,
        activation: Activation,
        norm_first: bool,
        positions: Positions,
        embedding_std: float,
        embedding_factor: float,
        summary: Summary,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, dim=dim, head_dropout=head_dropout)
        self.save_hyperparameters()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = Transformer(
            vocabulary_size=vocabulary_size,
            max_length=max_length,
            num_layers=num_layers,
            dim=dim,
            num_heads=num_heads,
            hidden_features=hidden_features,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation=activation,
            norm_first=norm_first,
            positions=positions,
            embedding_std=embedding_std,
            embedding_factor=embedding_factor,
            summary=summary,
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            self.parameters(),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )
