"""Texts with labels: records of CSV, TSV and JSON lines, files of one text each, and how some are held out."""

import csv
import gzip
import hashlib
import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.unreadable import Unreadable, UnreadableSample

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_COMPRESSED = (".xz", ".gz")
# Python's own limit of a CSV field, 131,072 characters, is less than a long document.
_LONGEST_FIELD = 2**27


class LabelledText(NamedTuple):
    """A text, and the index of its class."""

    text: str
    label: int


Record = LabelledText | Unreadable


class TextSplits(NamedTuple):
    """The splits, each in a fixed order; what could not be read stays in its place."""

    train: list[Record]
    val: list[Record]
    test: list[Record]


def read_text(file: Path) -> str:
    """A file that is one text in UTF-8.

    Raises:
        UnreadableSample: it is none, or empty.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSample(file, f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise UnreadableSample(file, str(error.strerror)) from error
    if not text.strip():
        raise UnreadableSample(file, "no text")
    return text


def read_records(file: Path, *, text_column: str, label_column: str, class_names: Sequence[str] | None) -> list[Record]:
    """The records of a .csv, .tsv or .jsonl file, as it is or compressed (.gz, .xz).

    A label is the name of a class or its index, without names always 0; tables begin with a line of column names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the name ends in none of these, or no record has such columns.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file}; correct the path")
    rows = _rows(file)
    records: list[Record] = []
    columns: set[str] = set()
    for number, row in rows:
        if isinstance(row, str):
            records.append(Unreadable(str(file), f"line {number}", row))
            continue
        columns.update(row)
        text = row.get(text_column)
        label = 0 if class_names is None else _index_of(row.get(label_column), class_names)
        if not isinstance(text, str) or not text.strip():
            records.append(Unreadable(str(file), f"line {number}", f"no text in {text_column!r}"))
        elif label is None:
            reason = (
                f"{label_column!r} is {row.get(label_column)!r}, not one of {', '.join(class_names or [])} or an index"
            )
            records.append(Unreadable(str(file), f"line {number}", reason))
        else:
            records.append(LabelledText(text, label))
    if not any(isinstance(record, LabelledText) for record in records):
        first = f"; the first: {records[0].record}, {records[0].reason}" if records else ""  # type: ignore[union-attr]
        raise ValueError(
            f"{file} has no text with a label; set the columns to two of {', '.join(sorted(columns)) or 'none'}{first}"
        )
    return records


def _index_of(label: Any, class_names: Sequence[str]) -> int | None:
    name = str(label)
    if name in class_names:
        return class_names.index(name)
    return int(name) if name.isdecimal() and int(name) < len(class_names) else None


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Lines with their numbers from 1: a record, or what is wrong with it."""
    kind = Path(file.stem).suffix.lower() if file.suffix.lower() in _COMPRESSED else file.suffix.lower()
    if kind not in (*_DELIMITERS, *_JSON_LINES):
        raise ValueError(f"{file}: texts come as {', '.join((*_DELIMITERS, *_JSON_LINES))}, with or without .gz or .xz")
    with _open(file) as lines:
        try:
            yield from _json_rows(lines) if kind in _JSON_LINES else _table_rows(lines, _DELIMITERS[kind])
        except (UnicodeDecodeError, EOFError, lzma.LZMAError, OSError) as error:
            raise ValueError(f"{file} is damaged or not in UTF-8 ({error}); fetch or write it again") from error


def _open(file: Path) -> TextIOWrapper:
    match file.suffix.lower():
        case ".xz":
            return lzma.open(file, "rt", encoding="utf-8-sig", newline="")
        case ".gz":
            return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            yield number, f"not JSON ({error})"
            continue
        yield number, row if isinstance(row, dict) else f"not an object but {type(row).__name__}"


def _table_rows(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"not a row ({error})"
            continue
        # DictReader collects surplus fields under None.
        yield reader.line_num, row if None not in row else "more fields than columns"


def hold_out(
    records: Sequence[Record], fraction: float, *, name: str = "val_fraction"
) -> tuple[list[Record], list[Record]]:
    """What is held out and what is left, each in the given order.

    Which ones depends on the texts alone: a text that occurs twice is not in both parts, but at the very border.

    Raises:
        ValueError: one of the parts would be empty.
    """
    num_held_out = max(1, round(len(records) * fraction))
    if not 0 < fraction < 1 or num_held_out >= len(records):
        raise ValueError(
            f"data.source.{name}={fraction} of {len(records)} texts leaves one of two splits empty; choose a"
            " fraction between 0 and 1, or give a file for each split"
        )
    # Of what cannot be read, by its place.
    keys = [hashlib.sha256(f"{record[0]}\n{record[1]}".encode()).digest() for record in records]
    held_out = set(sorted(range(len(records)), key=lambda index: keys[index])[:num_held_out])
    left = [record for index, record in enumerate(records) if index not in held_out]
    return [records[index] for index in sorted(held_out)], left
