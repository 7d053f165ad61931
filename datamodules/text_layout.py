"""How a text becomes a sequence, whichever data set or file it comes from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.batches import TextBatch
from datamodules.loading import Draw
from datamodules.text_records import LabelledText, Record, read_text
from datamodules.tokenized_texts import TokenizedTexts, padded, shortened


class TextLayout:
    """How a text becomes a sequence: the token that stands for the whole, the text's own, one that ends it.

    Args:
        max_length: of the sequence in tokens; a longer text loses its middle.
        head_tokens: how many of a longer text's first tokens stay.

    Raises:
        ValueError: there is no room for a token, or for the head.
    """

    def __init__(self, texts: TokenizedTexts, *, max_length: int, head_tokens: int) -> None:
        self.texts = texts
        self.own_length = max_length - 2
        self.head_tokens = head_tokens
        if not 0 <= head_tokens <= self.own_length or self.own_length < 1:
            raise ValueError(
                f"data.max_length={max_length} with data.head_tokens={head_tokens}: a sequence holds two special"
                " tokens, at least one of the text, and no more of its head than fit"
            )

    def sequence(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Token numbers of a text to those of its sequence."""
        special = self.texts.special
        own = shortened(tokens, to=self.own_length, head=self.head_tokens)
        return np.concatenate([[special.classify], own, [special.separate]], dtype=np.int32)


class TextFileSequences:
    """Files of one text each, with the part of the text that every token stands for."""

    def __init__(self, paths: Sequence[Path], layout: TextLayout) -> None:
        self.paths = list(paths)
        self.layout = layout

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, draws: list[Draw]) -> TextBatch:
        texts = [self.layout.texts.source.clean(read_text(self.paths[draw.sample])) for draw in draws]
        encodings = self.layout.texts.tokenizer.encode_batch(texts, add_special_tokens=False)
        sequences, spans = [], []
        for encoding in encodings:
            sequences.append(self.layout.sequence(np.array(encoding.ids, dtype=np.int32)))
            places = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
            own = shortened(places, to=self.layout.own_length, head=self.layout.head_tokens)
            spans.append([(0, 0), *((int(start), int(end)) for start, end in own), (0, 0)])
        return TextBatch(padded(sequences), texts, spans)


def write_samples(records: Sequence[Record], split: str, *, count: int, folder: Path) -> list[Path]:
    """Some texts of a split, evenly spread over it, written into a folder, a file for each."""
    texts = [record.text for record in records if isinstance(record, LabelledText)]
    files = []
    for index in np.linspace(0, len(texts) - 1, min(count, len(texts)), dtype=int).tolist():
        files.append(folder / f"{split}-{index}.txt")
        files[-1].write_text(texts[index], encoding="utf-8")
    return files
