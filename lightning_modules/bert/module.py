"""BERT: pre-training, and the fine-tuning of a classifier of texts."""

from pathlib import Path
from typing import Any

from jaxtyping import Float, Int64
from PIL import Image
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import NOT_HIDDEN, HiddenTextBatch, MaskedTextBatch
from lightning_modules.bert.guess_pictures import GuessedText, draw_guesses, guessed_texts
from lightning_modules.bert.network import BERT, PretrainingHeads, PretrainingScores, initialise_
from lightning_modules.bert.parameter_groups import parameter_groups
from lightning_modules.bert.pretraining_scores import PretrainingMetrics
from lightning_modules.bert.published_weights import renamed, with_repeated_positions
from lightning_modules.optimization import build_optimization
from lightning_modules.pretrained import LoadingReport, Weights, load_weights_, read_weights
from lightning_modules.split_steps import SplitSteps
from lightning_modules.text_classifier import TextClassifier

# What only some published files have: those of a masked language model alone come without it.
_POOLER = ("pooler.weight", "pooler.bias")


class BERTClassifier(TextClassifier):
    """BERT with a linear layer on its summary (https://arxiv.org/abs/1810.04805, section 4.1 and figure 4b).

    Args:
        num_classes: of the texts.
        vocabulary_size, num_positions, num_layers, dim, num_heads, hidden_features, dropout, attention_dropout,
            initial_std, norm_first: see `BERT`.
        weights: file of a state dict of Hugging Face's `BertModel`, or of a checkpoint of a run, as
            `outputs/bert_imdb_pretrain/<run>/checkpoints/best.ckpt`; None starts from random ones. They are loaded by
            `load_pretrained_weights` only.
        layer_decay: factor on the learning rate from each layer to the one below it, see `parameter_groups`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        vocabulary_size: int,
        num_positions: int,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        initial_std: float,
        norm_first: bool,
        weights: str | None,
        layer_decay: float,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(num_classes=num_classes, dim=dim, head_dropout=dropout)
        self.save_hyperparameters()
        self.weights = weights
        # Of the weights, once they are loaded.
        self.known_vocabulary: str | None = None
        self.layer_decay = layer_decay
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = BERT(
            vocabulary_size=vocabulary_size,
            num_positions=num_positions,
            num_layers=num_layers,
            dim=dim,
            num_heads=num_heads,
            hidden_features=hidden_features,
            dropout=dropout,
            attention_dropout=attention_dropout,
            initial_std=initial_std,
            norm_first=norm_first,
        )
        initialise_(self.head, std=initial_std)

    def load_pretrained_weights(self) -> LoadingReport | None:
        """Load all of the network but the new layer on top; what was loaded.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the weights are damaged or of another size.
        """
        if self.weights is None:
            return None
        weights = read_weights(Path(self.weights))
        self.known_vocabulary = weights.vocabulary
        return _load_(self.network, weights)

    def on_fit_start(self) -> None:
        """Refuse weights that know the data's tokens by other numbers.

        Raises:
            ValueError: the weights are of a run with another vocabulary.
        """
        data: LightningDataModule = self.trainer.datamodule  # type: ignore[attr-defined]  # set by Lightning's connector
        if self.known_vocabulary is not None and self.known_vocabulary != data.state_dict().get("vocabulary"):
            raise ValueError(
                f"model.weights={self.weights} were trained with another vocabulary than the data have; give both runs"
                " the same training texts and data.vocabulary, or a data.vocabulary.file"
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        groups = parameter_groups(self.network, self.head, optimizer=self.optimizer, layer_decay=self.layer_decay)
        return build_optimization(
            groups,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )


class BERTPretraining(SplitSteps):
    """Masked language model and next-sentence prediction (https://arxiv.org/abs/1810.04805, section 3.1).

    Logs the loss, that of either task (`mlm_loss`, `nsp_loss`), and how many were right (`mlm_accuracy`,
    `nsp_accuracy`).

    Args:
        vocabulary_size, num_positions, num_layers, dim, num_heads, hidden_features, dropout, attention_dropout,
            initial_std, norm_first: see `BERT`.
        next_sentence: also learn whether the second passage follows the first; without it pairs are never looked at.
        weights: of an earlier pre-training to go on from, see `BERTClassifier`.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        num_positions: int,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        initial_std: float,
        norm_first: bool,
        next_sentence: bool,
        weights: str | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.next_sentence = next_sentence
        self.weights = weights
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.network = BERT(
            vocabulary_size=vocabulary_size,
            num_positions=num_positions,
            num_layers=num_layers,
            dim=dim,
            num_heads=num_heads,
            hidden_features=hidden_features,
            dropout=dropout,
            attention_dropout=attention_dropout,
            initial_std=initial_std,
            norm_first=norm_first,
        )
        self.heads = PretrainingHeads(self.network.token_embedding, initial_std=initial_std)
        self.metrics = PretrainingMetrics(next_sentence=next_sentence)

    def load_pretrained_weights(self) -> LoadingReport | None:
        """Load the network, see `BERTClassifier`; the heads start anew."""
        return None if self.weights is None else _load_(self.network, read_weights(Path(self.weights)))

    def forward(self, token: Int64[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Scores of every token at every place."""
        scores = self._scores(token, None, token != NOT_HIDDEN)
        return scores.token.unflatten(0, token.shape)  # type: ignore[no-any-return, no-untyped-call]

    def _scores(
        self, token: Int64[Tensor, "B L"], segment: Int64[Tensor, "B L"] | None, is_asked: Tensor
    ) -> PretrainingScores:
        encoded = self.network(token, segment)
        scores = self.heads(encoded, self.network.token_embedding.weight, is_asked)
        assert isinstance(scores, PretrainingScores)
        return scores

    def _step(self, batch: MaskedTextBatch, split: str) -> Tensor:
        token, segment, hidden, is_next = batch
        is_asked = hidden != NOT_HIDDEN
        scores = self._scores(token, segment, is_asked)
        answers = hidden[is_asked]
        mlm_loss = F.cross_entropy(scores.token, answers)
        nsp_loss = F.binary_cross_entropy_with_logits(scores.is_next, is_next.to(scores.is_next.dtype))
        self.metrics.update(split, scores, answers, is_next, mlm_loss=mlm_loss, nsp_loss=nsp_loss)
        return mlm_loss + nsp_loss if self.next_sentence else mlm_loss

    def _log_epoch(self, split: str) -> None:
        self.metrics.log_epoch(self, split)

    def predict_step(self, batch: HiddenTextBatch, batch_idx: int) -> list[GuessedText]:
        """For each text its hidden tokens, and for each of these the three most probable ones."""
        token, texts, spans, is_hidden = batch
        return guessed_texts(self(token), is_hidden, texts=texts, spans=spans)

    def draw(self, file: Path, prediction: GuessedText, class_names: list[str]) -> Image.Image:
        """The text, what was hidden of it, and the guesses."""
        return draw_guesses(file.name, prediction, class_names)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return build_optimization(
            parameter_groups(self.network, self.heads, optimizer=self.optimizer, layer_decay=1.0),
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            num_steps=int(self.trainer.estimated_stepping_batches),
        )


def _load_(network: nn.Module, weights: Weights) -> LoadingReport:
    assert isinstance(network, BERT)
    num_positions = network.position_embedding.num_embeddings
    return load_weights_(network, with_repeated_positions(renamed(weights), num_positions=num_positions), new=_POOLER)
