"""Batches of texts with labels, from any source of texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.batches import PADDING, TextBatch, TextClassificationBatch
from datamodules.length_buckets import LengthBuckets
from datamodules.loading import (
    Draw,
    evaluation_loader,
    share_of,
    training_loader,
    training_order,
)
from datamodules.randomness import uniform_per_sample
from datamodules.text_layout import TextFileSequences, TextLayout, write_samples
from datamodules.text_records import LabelledText
from datamodules.tokenized_texts import Split, TokenizedTexts, padded
from datamodules.unreadable import OnError, ReadBatch


class LabelledSequences:
    """Texts of a split as batches; in training some tokens are made unknown, a function of (seed, epoch, sample).

    Args:
        order: which texts, in which order.
        hide_probability: of making a token of the text unknown.
    """

    def __init__(
        self,
        split: Split,
        layout: TextLayout,
        *,
        order: NDArray[np.int64],
        hide_probability: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.records = split.records
        self.tokens = split.tokens
        self.layout = layout
        self.order = order
        self.hide_probability = hide_probability
        self.seed = seed

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, draws: list[Draw]) -> ReadBatch:
        drawn = [draw._replace(sample=int(self.order[draw.sample])) for draw in draws]
        records = [self.records[draw.sample] for draw in drawn]
        readable = [draw for draw, record in zip(drawn, records, strict=True) if isinstance(record, LabelledText)]
        unreadable = [record for record in records if not isinstance(record, LabelledText)]
        if not readable:
            return ReadBatch(None, unreadable)
        token = padded([self.layout.sequence(self.tokens[draw.sample]) for draw in readable])
        if self.hide_probability > 0:
            uniform = uniform_per_sample(
                seed=self.seed,
                epochs=[draw.epoch for draw in readable],
                indices=[draw.sample for draw in readable],
                draws=token.shape[1],
            )
            special = self.layout.texts.special
            is_own = (token != PADDING) & (token != special.classify) & (token != special.separate)
            token = token.masked_fill(is_own & (uniform < self.hide_probability), special.unknown)
        label = torch.tensor([record.label for record in records if isinstance(record, LabelledText)])
        return ReadBatch(TextClassificationBatch(token, label), unreadable)


class LabelledTextsDataModule(LightningDataModule):
    """Texts and their classes: a source, a vocabulary, and how batches are made of them.

    Args:
        source, vocabulary, class_names, cache_dir, on_error: see `TokenizedTexts`.
        num_classes: how many class names there are.
        max_length, head_tokens: see `TextLayout`.
        num_labelled: learn from so many training texts, drawn once for all seeds; the vocabulary is made of all texts.
            None learns from all.
        hide_probability: of making a token unknown in training, so that no single word is relied on.
        rounds_per_pool: see `LengthBuckets`; None makes batches at random.
        batch_size: texts of one process in a step.
        num_workers: processes that make batches; 0 makes them in the training process.
        seed: of the order and of what is made unknown, each a function of (seed, epoch, sample).

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        source: dict[str, Any],
        vocabulary: dict[str, Any],
        class_names: list[str],
        num_classes: int,
        cache_dir: str,
        max_length: int,
        head_tokens: int,
        num_labelled: int | None,
        hide_probability: float,
        rounds_per_pool: int | None,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        if len(class_names) != num_classes:
            raise ValueError(f"data.num_classes={num_classes}, but data.class_names has {len(class_names)}")
        if num_labelled is not None and num_labelled < 1:
            raise ValueError(f"data.num_labelled={num_labelled}: choose 1 or more, or null for all")
        if not 0 <= hide_probability < 1:
            raise ValueError(f"data.hide_probability={hide_probability}: choose 0 or more, below 1")
        self.texts = TokenizedTexts(
            source=source, vocabulary=vocabulary, class_names=class_names, cache_dir=cache_dir, on_error=on_error
        )
        self.layout = TextLayout(self.texts, max_length=max_length, head_tokens=head_tokens)
        self.class_names = class_names
        self.num_labelled = num_labelled
        self.hide_probability = hide_probability
        self.rounds_per_pool = rounds_per_pool
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.on_error: OnError = on_error

    def setup(self, stage: str) -> None:
        """Read the texts, see `TokenizedTexts.read`."""
        self.texts.read()

    def fingerprint(self) -> str:
        """A hash over every split's texts and labels."""
        return self.texts.fingerprint()

    def contents(self) -> dict[str, Any]:
        """Numbers of texts of each class and of tokens, of each split."""
        return self.texts.contents()

    def state_dict(self) -> dict[str, str]:
        return self.texts.state_dict()

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        self.texts.load_state_dict(state_dict)

    def train_dataloader(self) -> DataLoader[TextClassificationBatch]:
        split = self.texts.split("train")
        chosen = np.arange(len(split.records))
        if self.num_labelled is not None:
            chosen = np.random.default_rng(0).permutation(chosen)[: self.num_labelled]
        share = share_of(self.trainer)
        buckets = None
        if self.rounds_per_pool is not None:
            buckets = LengthBuckets(
                np.minimum(split.tokens.lengths[chosen], self.layout.own_length),
                samples_per_round=self.batch_size * share.world_size,
                rounds_per_pool=self.rounds_per_pool,
            )
        order = training_order(self.trainer, len(chosen), batch_size=self.batch_size, seed=self.seed, arrange=buckets)
        samples = LabelledSequences(
            split, self.layout, order=chosen, hide_probability=self.hide_probability, seed=self.seed
        )
        return training_loader(samples, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[TextClassificationBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[TextClassificationBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[TextClassificationBatch]:
        """Every text of a split once, the short ones first."""
        texts = self.texts.split(split)
        samples = LabelledSequences(texts, self.layout, order=np.argsort(texts.tokens.lengths, kind="stable"))
        return evaluation_loader(
            samples, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[TextBatch]:
        """Batches of text files in the order given, each file one text."""
        files = TextFileSequences(paths, self.layout)
        return evaluation_loader(files, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        return write_samples(self.texts.split(split).records, split, count=count, folder=folder)
