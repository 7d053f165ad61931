"""IMDb's 50,000 film reviews, positive and negative (Maas et al. 2011, https://aclanthology.org/P11-1015)."""

import re
from collections.abc import Sequence
from pathlib import Path

from datamodules.text_records import LabelledText, Record, TextSplits, read_records, read_text
from datamodules.unreadable import UnreadableSample

_FOLDERS = ("neg", "pos")
_LINE_BREAKS = re.compile(r"(?:<br\s*/?>\s*)+")


class IMDbReviews:
    """The reviews as published (`aclImdb/train/pos/0_9.txt`), or as JSON lines with `text` and `label`.

    Args:
        folder: holds `train.jsonl` and `test.jsonl` (also as .xz or .gz), or `aclImdb/`, or is that folder itself.
        val_fraction: of the training reviews of each class, held out for validation: the last ones. Up to 30 reviews
            of one film follow each other, and no film of the test is among those of training; validation on reviews
            picked at random, of films seen in training, promised 0.900 where the test gave 0.867.

    Raises:
        ValueError: the fraction leaves one of two splits empty.
    """

    def __init__(self, *, folder: str, val_fraction: float) -> None:
        if not 0 < val_fraction < 1:
            raise ValueError(f"data.source.val_fraction={val_fraction}: choose a fraction above 0, below 1")
        self.folder = Path(folder)
        self.val_fraction = val_fraction

    def read(self, class_names: Sequence[str] | None) -> TextSplits:
        """All reviews, in the order of their names or lines.

        Raises:
            FileNotFoundError: they are not there.
        """
        names = _FOLDERS if class_names is None else class_names
        train: list[Record] = []
        val: list[Record] = []
        for reviews in _by_class(self._read("train", names)):
            num_train = len(reviews) - max(1, round(len(reviews) * self.val_fraction))
            train += reviews[:num_train]
            val += reviews[num_train:]
        return TextSplits(train, val, self._read("test", names))

    def clean(self, text: str) -> str:
        """Without tags of line breaks, which are all the tags there are."""
        return _LINE_BREAKS.sub(" ", text)

    def _read(self, split: str, class_names: Sequence[str]) -> list[Record]:
        records = self._records(split, class_names)
        return [r._replace(text=self.clean(r.text)) if isinstance(r, LabelledText) else r for r in records]

    def _records(self, split: str, class_names: Sequence[str]) -> list[Record]:
        for name in (f"{split}.jsonl", f"{split}.jsonl.xz", f"{split}.jsonl.gz"):
            if (self.folder / name).is_file():
                return read_records(
                    self.folder / name, text_column="text", label_column="label", class_names=class_names
                )
        for place in (self.folder / "aclImdb" / split, self.folder / split):
            if all((place / kind).is_dir() for kind in _FOLDERS):
                return [_review(file, label) for label, kind in enumerate(_FOLDERS) for file in _files(place / kind)]
        raise FileNotFoundError(
            f"no IMDb reviews in {self.folder}: neither {split}.jsonl nor aclImdb/{split}/pos; unpack the published"
            " archive there, or set FIRSTHAND_DATA to the folder that holds imdb/"
        )


def _by_class(records: Sequence[Record]) -> list[list[Record]]:
    """Records of each class in their order; what cannot be read goes with the class before it."""
    classes: dict[int, list[Record]] = {}
    label = 0
    for record in records:
        label = record.label if isinstance(record, LabelledText) else label
        classes.setdefault(label, []).append(record)
    return [classes[label] for label in sorted(classes)]


def _review(file: Path, label: int) -> Record:
    try:
        return LabelledText(read_text(file), label)
    except UnreadableSample as error:
        return error.unreadable


def _files(folder: Path) -> list[Path]:
    # 2_7.txt comes before 10_3.txt.
    return sorted(folder.glob("*.txt"), key=lambda file: (len(file.name.split("_")[0]), file.name))
