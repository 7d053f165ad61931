"""Texts with labels of your own: CSV, TSV or JSON lines."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.text_records import TextSplits, hold_out, read_records


class TextFiles:
    """One file for training, and others for validation and test or parts of it.

    Args:
        train_file, val_file, test_file: .csv, .tsv or .jsonl in UTF-8, as they are or compressed (.gz, .xz); None holds
            texts out, for the test before the validation.
        text_column, label_column: names of the columns or keys; a label is a class's name or index, and does not
            matter in pre-training.
        val_fraction, test_fraction: of what is held out; not used where there is a file.
    """

    def __init__(
        self,
        *,
        train_file: str,
        val_file: str | None,
        test_file: str | None,
        text_column: str,
        label_column: str,
        val_fraction: float,
        test_fraction: float,
    ) -> None:
        self.train_file = train_file
        self.val_file = val_file
        self.test_file = test_file
        self.columns = {"text_column": text_column, "label_column": label_column}
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction

    def read(self, class_names: Sequence[str] | None) -> TextSplits:
        """The splits, each in the order of its file.

        Raises:
            FileNotFoundError, ValueError: see `read_records` and `hold_out`.
        """
        train = read_records(Path(self.train_file), **self.columns, class_names=class_names)
        if self.test_file is None:
            test, train = hold_out(train, self.test_fraction, name="test_fraction")
        else:
            test = read_records(Path(self.test_file), **self.columns, class_names=class_names)
        if self.val_file is None:
            val, train = hold_out(train, self.val_fraction)
        else:
            val = read_records(Path(self.val_file), **self.columns, class_names=class_names)
        return TextSplits(train, val, test)

    def clean(self, text: str) -> str:
        """The text as it is."""
        return text
