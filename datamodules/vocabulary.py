"""What the tokens of texts are: whole words, WordPieces, or pairs of bytes; learned from texts or read from a file."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from datamodules.batches import PADDING

PAD, UNKNOWN, CLASSIFY, SEPARATE, HIDDEN = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, CLASSIFY, SEPARATE, HIDDEN)
# A character of Chinese or Japanese, which put no spaces between words; else a word, as it is or with an apostrophe
# ("isn't"); else a single sign.
_WORDS = Regex(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{M}\p{N}]+(?:['’]\p{L}+)?|[^\s\p{L}\p{N}]")
# What begins a piece in the middle of a word, and a sign for a word's beginning while they are learned.
_CONTINUED = "##"
_WORD_START = "▁"
_LARGEST_ALPHABET = 1000


class Vocabulary(ABC):
    """A way to take texts apart.

    Args:
        size: at most so many different tokens, the five special ones among them.

    Raises:
        ValueError: there is no room for any token.
    """

    def __init__(self, *, size: int) -> None:
        if size <= len(SPECIAL):
            raise ValueError(f"data.vocabulary.size={size} leaves no room beside {', '.join(SPECIAL)}; raise it")
        self.size = size

    @abstractmethod
    def learn(self, texts: Iterable[str]) -> Tokenizer:
        """A tokenizer for such texts; the same texts give the same one."""


class Words(Vocabulary):
    """The most frequent words; all others are one unknown.

    Args:
        size: see `Vocabulary`.
        lowercase: whether `Good` is `good`.
        min_count: rarer words are unknown.
    """

    def __init__(self, *, size: int, lowercase: bool, min_count: int) -> None:
        super().__init__(size=size)
        self.lowercase = lowercase
        self.min_count = min_count

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        lower = [normalizers.Lowercase()] if self.lowercase else []
        normalizer = normalizers.Sequence([normalizers.NFC(), *lower])
        splitter = pre_tokenizers.Split(_WORDS, behavior="removed", invert=True)
        counts = Counter(
            word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
        )
        # Of equally frequent words the first of the alphabet, so that the order of texts does not matter.
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        words = [word for word, count in ranked if count >= self.min_count and word not in SPECIAL]
        index = {word: number for number, word in enumerate((*SPECIAL, *words[: self.size - len(SPECIAL)]))}
        tokenizer = Tokenizer(models.WordLevel(index, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = splitter
        return tokenizer


class WordPieces(Vocabulary):
    """Words, and pieces of those that are rare, as BERT has them (https://arxiv.org/abs/1609.08144, section 4.1).

    Args:
        size: see `Vocabulary`.
        file: a `vocab.txt` with a token a line, such as that of bert-base-uncased; None learns from the texts.
        lowercase: as the file's name says: uncased.
        strip_accents: `café` becomes `cafe`. It takes Korean syllables apart and Japanese ones lose their
            voice, but the published uncased vocabularies are made for it.

    Raises:
        ValueError: see `Vocabulary`.
    """

    def __init__(self, *, size: int, file: str | None, lowercase: bool, strip_accents: bool) -> None:
        super().__init__(size=size)
        self.file = None if file is None else Path(file)
        self.lowercase = lowercase
        self.strip_accents = strip_accents

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        """Or read the file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no vocabulary, or of another size than `size`.
        """
        index = self._learned(texts) if self.file is None else self._read(self.file)
        return self._prepared(models.WordPiece(index, unk_token=UNKNOWN))

    def _prepared(self, model: models.Model) -> Tokenizer:
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase, strip_accents=self.strip_accents)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    def _learned(self, texts: Iterable[str]) -> dict[str, int]:
        """The most frequent pairs of pieces, as the library's own trainer for WordPieces has them too.

        That one follows the order of a hash table where pairs are equally frequent, and so gives another vocabulary in
        every process. The one for pairs does not; it is told by a sign where words begin.
        """
        tokenizer = self._prepared(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [tokenizer.pre_tokenizer, pre_tokenizers.Metaspace(_WORD_START, prepend_scheme="always", split=False)]
        )
        trainer = trainers.BpeTrainer(
            vocab_size=self.size, limit_alphabet=min(_LARGEST_ALPHABET, self.size // 2), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        learned = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
        signs = [token for token in learned if len(token) == 1 and token != _WORD_START]
        pieces = [_CONTINUED + sign for sign in signs] + [
            token.removeprefix(_WORD_START) if token.startswith(_WORD_START) else _CONTINUED + token
            for token in learned
            if len(token) > 1
        ]
        pieces = list(dict.fromkeys([*signs, *pieces]))[: self.size - len(SPECIAL)]
        return {piece: number for number, piece in enumerate((*SPECIAL, *pieces))}

    def _read(self, file: Path) -> dict[str, int]:
        if not file.is_file():
            raise FileNotFoundError(
                f"there is no vocabulary {file}; put a vocab.txt there, or learn one: data.vocabulary.file=null"
            )
        tokens = file.read_text(encoding="utf-8").splitlines()
        missing = [token for token in SPECIAL if token not in tokens]
        if missing or tokens[PADDING] != PAD:
            raise ValueError(
                f"{file} is no vocabulary of BERT: it should begin with {PAD} and have {', '.join(SPECIAL)}"
            )
        if len(tokens) != self.size:
            raise ValueError(f"{file} has {len(tokens)} tokens; set data.vocabulary.size to that, not to {self.size}")
        return {token: number for number, token in enumerate(tokens)}


class BytePairs(Vocabulary):
    """Bytes and their most frequent pairs (https://arxiv.org/abs/1508.07909): any text in any language, no unknown.

    Raises:
        ValueError: there is not even room for the 256 bytes.
    """

    def __init__(self, *, size: int) -> None:
        super().__init__(size=size)
        if size < len(SPECIAL) + 256:
            raise ValueError(f"data.vocabulary.size={size} is less than {len(SPECIAL)} and the 256 bytes; raise it")

    def learn(self, texts: Iterable[str]) -> Tokenizer:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=self.size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer


_KINDS = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (Words, WordPieces, BytePairs)}


def build_vocabulary(description: dict[str, Any]) -> Vocabulary:
    """The vocabulary that a configuration describes.

    Raises:
        ValueError: it names no kind of vocabulary.
    """
    arguments = {key: value for key, value in description.items() if key != "_target_"}
    kind = _KINDS.get(str(description.get("_target_")))
    if kind is None:
        raise ValueError(f"data.vocabulary._target_={description.get('_target_')}: choose one of {', '.join(_KINDS)}")
    return kind(**arguments)
