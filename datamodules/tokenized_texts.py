"""A source of texts as tokens, and the way from a text to a sequence: what the data modules of texts share."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from datamodules.batches import PADDING
from datamodules.imdb import IMDbReviews
from datamodules.sentiment_sentences import SentimentSentences
from datamodules.text_files import TextFiles
from datamodules.text_records import LabelledText, Record, TextSplits
from datamodules.token_files import TokenSequences, key_of, tokenizer_from_disk, tokens_from_disk
from datamodules.unreadable import OnError, Unreadable, UnreadableSample
from datamodules.vocabulary import CLASSIFY, HIDDEN, PAD, SEPARATE, SPECIAL, UNKNOWN, build_vocabulary


class TextSource(Protocol):
    """Where texts with labels come from."""

    def read(self, class_names: Sequence[str] | None) -> TextSplits:
        """The splits; without names labels do not matter."""
        ...

    def clean(self, text: str) -> str:
        """A text of this kind without what is not language, such as tags."""
        ...


_SOURCES: dict[str, type[TextSource]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind for kind in (IMDbReviews, SentimentSentences, TextFiles)
}


class SpecialTokens(NamedTuple):
    """Numbers of the tokens that stand for no text."""

    unknown: int
    classify: int
    separate: int
    hidden: int


class Split(NamedTuple):
    """Records and their tokens; those of what cannot be read are none."""

    records: list[Record]
    tokens: TokenSequences


class TokenizedTexts:
    """A source of texts, the vocabulary learned from its training split, and every text as numbers.

    Args:
        source: a dict that names one of the classes above and has its arguments.
        vocabulary: the same, see `datamodules.vocabulary`.
        class_names: of the labels, in the order of their indices; None does without labels.
        cache_dir: keeps vocabularies and tokens, by a hash of the texts and all that they depend on.
        on_error: `raise` refuses what cannot be read when it is first met.

    Raises:
        ValueError: the source or the vocabulary is none of these.
    """

    def __init__(
        self,
        *,
        source: dict[str, Any],
        vocabulary: dict[str, Any],
        class_names: Sequence[str] | None,
        cache_dir: str,
        on_error: OnError,
    ) -> None:
        kind = _SOURCES.get(str(source.get("_target_")))
        if kind is None:
            raise ValueError(f"data.source._target_={source.get('_target_')}: choose one of {', '.join(_SOURCES)}")
        self.source = kind(**{key: value for key, value in source.items() if key != "_target_"})
        self.vocabulary = build_vocabulary(vocabulary)
        self.vocabulary_key = key_of(str(sorted(vocabulary.items())))
        self.class_names = class_names
        self.cache_dir = Path(cache_dir)
        self.on_error = on_error
        self.known: Tokenizer | None = None
        self.splits: dict[str, Split] | None = None

    def read(self) -> None:
        """Read and take apart all splits, once.

        Raises:
            OSError, ValueError: there is no such data or vocabulary.
            UnreadableSample: a record cannot be read, by `raise`.
        """
        if self.splits is not None:
            return
        records = self.source.read(self.class_names)._asdict()
        for split in records.values():
            unreadable = [record for record in split if isinstance(record, Unreadable)]
            if unreadable and self.on_error == "raise":
                file, place, reason = unreadable[0]
                raise UnreadableSample(file, reason, record=place)
        texts = {name: [_text_of(record) for record in split] for name, split in records.items()}
        if self.known is None:
            key = key_of(self.vocabulary_key, *texts["train"])
            learned = tokenizer_from_disk(self.cache_dir, key, lambda: self.vocabulary.learn(texts["train"]))
            self.known = _taking_everything_for_text(learned)
        self.splits = {
            name: Split(split, tokens_from_disk(self.cache_dir, texts[name], self.known))
            for name, split in records.items()
        }

    @property
    def tokenizer(self) -> Tokenizer:
        """Learned, or taken over from a checkpoint."""
        if self.known is None:
            self.read()
        assert self.known is not None
        return self.known

    @property
    def special(self) -> SpecialTokens:
        """Numbers of the special tokens."""
        numbers = [self.tokenizer.token_to_id(token) for token in (UNKNOWN, CLASSIFY, SEPARATE, HIDDEN)]
        return SpecialTokens(*(number for number in numbers if number is not None))

    def split(self, name: str) -> Split:
        """One of `train`, `val` and `test`."""
        assert self.splits is not None, "setup() comes before the loaders"
        return self.splits[name]

    def fingerprint(self) -> str:
        """A hash over every split's texts and labels."""
        digest = hashlib.sha256()
        for name in ("train", "val", "test"):
            for record in self.split(name).records:
                digest.update(f"{name}\n{record}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def contents(self) -> dict[str, Any]:
        """The number of texts of each class, of tokens, and of those that are unknown, of each split."""
        return {name: self._contents(split) for name, split in (self.splits or {}).items()}

    def _contents(self, split: Split) -> dict[str, Any]:
        labels = Counter(record.label for record in split.records if isinstance(record, LabelledText))
        names = self.class_names
        texts = {"texts": labels.total()} if names is None else {names[k]: count for k, count in sorted(labels.items())}
        return {
            **texts,
            "tokens": len(split.tokens.token),
            "unknown_tokens": int((split.tokens.token == self.special.unknown).sum()),
        }

    def state_dict(self) -> dict[str, str]:
        """The vocabulary, for the checkpoint: predictions need it where the training texts are not."""
        return {"vocabulary": self.tokenizer.to_str()}

    def load_state_dict(self, state: dict[str, str]) -> None:
        """Go on with a checkpoint's vocabulary.

        Raises:
            ValueError: another one is in use already.
        """
        if self.known is not None and self.known.to_str() != state["vocabulary"]:
            raise ValueError("the texts or the vocabulary are not those of the checkpoint; restore them, or start anew")
        self.known = _taking_everything_for_text(Tokenizer.from_str(state["vocabulary"]))


def _text_of(record: Record) -> str:
    return record.text if isinstance(record, LabelledText) else ""


def _taking_everything_for_text(tokenizer: Tokenizer) -> Tokenizer:
    """Somebody who writes `[PAD]` in a text means five signs."""
    tokenizer.encode_special_tokens = True
    missing = [token for token in SPECIAL if tokenizer.token_to_id(token) is None]
    if missing or tokenizer.token_to_id(PAD) != PADDING:
        raise ValueError(f"the vocabulary lacks {', '.join(missing) or PAD + ' as its first token'}; learn it anew")
    return tokenizer


def shortened(tokens: NDArray[np.int32], *, to: int, head: int) -> NDArray[np.int32]:
    """The first `head` tokens and as many of the last as fit: a review's verdict often stands at its end."""
    if len(tokens) <= to:
        return tokens
    return np.concatenate([tokens[:head], tokens[len(tokens) - (to - head) :]])


def padded(sequences: Sequence[NDArray[np.int32]]) -> Int64[Tensor, "B L"]:
    """Sequences in one tensor, as long as the longest of them."""
    length = max(map(len, sequences))
    token = np.full((len(sequences), length), PADDING, dtype=np.int64)
    for row, sequence in zip(token, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(token)
