"""Passages with hidden tokens, for BERT's pre-training (https://arxiv.org/abs/1810.04805, section 3.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.batches import NOT_HIDDEN, HiddenTextBatch, MaskedTextBatch
from datamodules.loading import (
    Draw,
    SamplesOneByOne,
    evaluation_loader,
    training_loader,
    training_order,
)
from datamodules.randomness import seed_of
from datamodules.text_layout import TextFileSequences, TextLayout, write_samples
from datamodules.tokenized_texts import Split, TokenizedTexts, padded
from datamodules.unreadable import OnError, Unreadable, UnreadableSample

Tokens = NDArray[np.int32]

# Of the hidden tokens, section 3.1: [MASK] in their place, a random token, and the rest stays as it is.
_SHOWN_AS_MASK = 0.8
_SHOWN_AS_RANDOM = 0.1
_NEXT = 0.5


class Pair(NamedTuple):
    """Two passages, or one, as one sequence, some tokens hidden; see `MaskedTextBatch`."""

    token: Tokens
    segment: Tokens
    hidden: Tokens
    is_next: bool


class PassagePairs:
    """Reads a pair as drawn: a function of (seed, epoch, sample).

    Args:
        max_length: of the sequence in tokens.
        pairs: two passages; False for one of the same length, which is its own next.
        hidden_fraction: of the passages' tokens; at least one is hidden.
    """

    def __init__(
        self, split: Split, texts: TokenizedTexts, *, max_length: int, pairs: bool, hidden_fraction: float, seed: int
    ) -> None:
        self.split = split
        self.special = texts.special
        self.vocabulary_size = texts.tokenizer.get_vocab_size()
        self.pairs = pairs
        self.room = max_length - _num_special(pairs=pairs)
        self.hidden_fraction = hidden_fraction
        self.seed = seed

    def __call__(self, draw: Draw) -> Pair:
        record = self.split.records[draw.sample]
        if isinstance(record, Unreadable):
            raise UnreadableSample(record.file, record.reason, record=record.record)
        generator = np.random.default_rng(seed_of(self.seed, draw.epoch, draw.sample))
        passages, is_next = self._passages(draw.sample, generator)
        # [CLS] first, [SEP] after each.
        parts = [np.append(passage, np.int32(self.special.separate)) for passage in passages]
        token = np.concatenate([[self.special.classify], *parts], dtype=np.int32)
        segment = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        shown, hidden = self._hide(token, generator)
        return Pair(shown, np.insert(segment, 0, 0), hidden, is_next)

    def _passages(self, sample: int, generator: np.random.Generator) -> tuple[list[Tokens], bool]:
        """One passage; or two, that follow each other or of which the second is from another text."""
        tokens = self.split.tokens[sample]
        length = min(len(tokens), self.room)
        start = int(generator.integers(len(tokens) - length + 1))
        part = tokens[start : start + length]
        if not self.pairs:
            return [part], True
        cut = int(generator.integers(1, max(2, length)))
        if generator.uniform() < _NEXT and cut < length:
            return [part[:cut], part[cut:]], True
        other = self.split.tokens[int(generator.integers(len(self.split.records)))]
        other_length = min(len(other), max(1, length - cut))
        other_start = int(generator.integers(len(other) - other_length + 1))
        return [part[:cut], other[other_start : other_start + other_length]], False

    def _hide(self, token: Tokens, generator: np.random.Generator) -> tuple[Tokens, Tokens]:
        """What is shown, and what stood at the hidden places."""
        is_special = (token == self.special.classify) | (token == self.special.separate)
        places = np.flatnonzero(~is_special)
        count = min(len(places), max(1, round(len(places) * self.hidden_fraction)))
        chosen = generator.choice(places, size=count, replace=False)
        hidden = np.full_like(token, NOT_HIDDEN)
        hidden[chosen] = token[chosen]
        shown = token.copy()
        how = generator.uniform(size=count)
        shown[chosen[how < _SHOWN_AS_MASK]] = self.special.hidden
        is_random = (how >= _SHOWN_AS_MASK) & (how < _SHOWN_AS_MASK + _SHOWN_AS_RANDOM)
        # From 1 on: 0 is padding.
        shown[chosen[is_random]] = generator.integers(1, self.vocabulary_size, size=int(is_random.sum()))
        return shown, hidden


def _num_special(*, pairs: bool) -> int:
    return 3 if pairs else 2


def collate(pairs: list[Pair]) -> MaskedTextBatch:
    """Pairs in one tensor, as long as the longest of them."""
    token = padded([pair.token for pair in pairs])
    segment = padded([pair.segment for pair in pairs])
    hidden = padded([pair.hidden for pair in pairs])
    is_behind = torch.arange(token.shape[1])[None] >= torch.tensor([len(pair.token) for pair in pairs])[:, None]
    is_next = torch.tensor([pair.is_next for pair in pairs])
    return MaskedTextBatch(token, segment, hidden.masked_fill(is_behind, NOT_HIDDEN), is_next)


class HiddenTextFiles:
    """Files of one text each, some tokens hidden: always the same ones of the same tokens."""

    def __init__(self, files: TextFileSequences, texts: TokenizedTexts, *, hidden_fraction: float) -> None:
        self.files = files
        self.special = texts.special
        self.hidden_fraction = hidden_fraction

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, draws: list[Draw]) -> HiddenTextBatch:
        token, texts, spans = self.files.__getitems__(draws)
        is_hidden = torch.zeros_like(token, dtype=torch.bool)
        for row, places in enumerate(spans):
            own = [index for index, (start, end) in enumerate(places) if end > start]
            count = min(len(own), max(1, round(len(own) * self.hidden_fraction)))
            is_hidden[row, np.random.default_rng(0).choice(own, size=count, replace=False)] = True
        return HiddenTextBatch(token.masked_fill(is_hidden, self.special.hidden), texts, spans, is_hidden)


class MaskedTextsDataModule(LightningDataModule):
    """The texts of any source, their labels left aside.

    Args:
        source, vocabulary, cache_dir, on_error: see `TokenizedTexts`.
        max_length, pairs, hidden_fraction: see `PassagePairs`; the paper has pairs of 512 and 0.15.
        batch_size: pairs of one process in a step; an epoch has one of every text.
        num_workers: processes that make batches; 0 makes them in the training process.
        seed: of the order, the passages and what is hidden, each a function of (seed, epoch, sample).

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        source: dict[str, Any],
        vocabulary: dict[str, Any],
        cache_dir: str,
        max_length: int,
        pairs: bool,
        hidden_fraction: float,
        batch_size: int,
        num_workers: int,
        seed: int,
        on_error: OnError,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: a batch has at least one sample; raise it")
        num_special = _num_special(pairs=pairs)
        if max_length < num_special + 2:
            raise ValueError(
                f"data.max_length={max_length}: a sequence has {num_special} special tokens and two others"
            )
        if not 0 < hidden_fraction < 1:
            raise ValueError(f"data.hidden_fraction={hidden_fraction}: choose a fraction above 0, below 1")
        self.texts = TokenizedTexts(
            source=source, vocabulary=vocabulary, class_names=None, cache_dir=cache_dir, on_error=on_error
        )
        self.max_length = max_length
        self.pairs = pairs
        self.hidden_fraction = hidden_fraction
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
        """Numbers of texts and of tokens of each split."""
        return self.texts.contents()

    def state_dict(self) -> dict[str, str]:
        return self.texts.state_dict()

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        self.texts.load_state_dict(state_dict)

    def train_dataloader(self) -> DataLoader[MaskedTextBatch]:
        samples = self._samples("train", seed=self.seed)
        order = training_order(self.trainer, len(samples), batch_size=self.batch_size, seed=self.seed)
        return training_loader(samples, order, num_workers=self.num_workers, on_error=self.on_error)

    def val_dataloader(self) -> DataLoader[MaskedTextBatch]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[MaskedTextBatch]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[MaskedTextBatch]:
        """A pair of every text of a split, the same in every run: results stay comparable."""
        samples = self._samples(split, seed=0)
        return evaluation_loader(
            samples, self.trainer, batch_size=self.batch_size, num_workers=self.num_workers, on_error=self.on_error
        )

    @property
    def class_names(self) -> list[str]:
        """The vocabulary: what is guessed is one of its tokens."""
        vocabulary = self.texts.tokenizer.get_vocab()
        return sorted(vocabulary, key=lambda token: vocabulary[token])

    def files_dataloader(self, paths: Sequence[Path]) -> DataLoader[HiddenTextBatch]:
        """Batches of text files in the order given, some tokens of each hidden."""
        layout = TextLayout(self.texts, max_length=self.max_length, head_tokens=self.max_length - 2)
        files = HiddenTextFiles(TextFileSequences(paths, layout), self.texts, hidden_fraction=self.hidden_fraction)
        return evaluation_loader(files, self.trainer, batch_size=self.batch_size, num_workers=0)

    def sample_files(self, split: str, *, count: int, folder: Path) -> list[Path]:
        """Some texts of a split, evenly spread over it, written into a folder."""
        return write_samples(self.texts.split(split).records, split, count=count, folder=folder)

    def _samples(self, split: str, *, seed: int) -> SamplesOneByOne[Pair, MaskedTextBatch]:
        texts = self.texts.split(split)
        pairs = PassagePairs(
            texts,
            self.texts,
            max_length=self.max_length,
            pairs=self.pairs,
            hidden_fraction=self.hidden_fraction,
            seed=seed,
        )
        return SamplesOneByOne(len(texts.records), pairs, collate)
