"""Tokens of many texts, kept on disk: taken apart once for the same texts and the same vocabulary."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

# Part of the files' names: raise it when the same texts and vocabulary give other tokens.
_VERSION = 1
_TEXTS_AT_ONCE = 1000


class TokenSequences:
    """Sequences of different length, end to end in one array."""

    def __init__(self, token: NDArray[np.int32], start: NDArray[np.int64]) -> None:
        self.token = token
        self.start = start

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.token[self.start[index] : self.start[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of every sequence."""
        return np.diff(self.start)


def key_of(*parts: str) -> str:
    """A file name for what follows from these parts."""
    digest = hashlib.sha256(str(_VERSION).encode())
    for part in parts:
        # The length keeps "ab", "c" from being "a", "bc".
        content = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()[:24]


def tokenizer_from_disk(folder: Path, key: str, learn: Callable[[], Tokenizer]) -> Tokenizer:
    """What was learned for this key; learned now where it is not there or cannot be read."""
    file = folder / f"vocabulary-{key}.json"
    try:
        return Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except Exception:  # noqa: BLE001 - tokenizers raises Exception itself; a damaged file is written anew
        file.unlink()
    tokenizer = learn()
    _replace(file, lambda path: path.write_text(tokenizer.to_str(), encoding="utf-8"))
    return tokenizer


def tokens_from_disk(folder: Path, texts: Sequence[str], tokenizer: Tokenizer) -> TokenSequences:
    """The tokens of texts, without special ones."""
    file = folder / f"tokens-{key_of(tokenizer.to_str(), *texts)}.npz"
    try:
        with np.load(file) as stored:
            return TokenSequences(stored["token"], stored["start"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        file.unlink()
    sequences = take_apart(texts, tokenizer)
    _replace(file, lambda path: np.savez(path, token=sequences.token, start=sequences.start))
    return sequences


def take_apart(texts: Sequence[str], tokenizer: Tokenizer) -> TokenSequences:
    """The tokens of texts, without special ones."""
    parts: list[list[int]] = []
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        some = list(texts[first : first + _TEXTS_AT_ONCE])
        parts += [encoding.ids for encoding in tokenizer.encode_batch_fast(some, add_special_tokens=False)]
    start = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    token = np.fromiter((number for part in parts for number in part), dtype=np.int32, count=int(start[-1]))
    return TokenSequences(token, start)


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    """The file is there as a whole or not at all; of two processes that write the same, either may win."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.stem}-", suffix=file.suffix, dir=file.parent)
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)
