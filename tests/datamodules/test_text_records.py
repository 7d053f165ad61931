"""Texts with labels from files: what is read, what is refused, how some are held out."""

import gzip
import itertools
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from datamodules.imdb import IMDbReviews
from datamodules.sentiment_sentences import SentimentSentences
from datamodules.text_records import LabelledText, hold_out, read_records
from datamodules.unreadable import Unreadable

NAMES = ["bad", "good"]
ROWS = [('Nice, "very" nice', "good"), ("two\nlines", "bad"), ("재미있어요", "1")]


def _read(file: Path, names: list[str] | None = NAMES) -> list[Any]:
    return read_records(file, text_column="text", label_column="label", class_names=names)


def _tables(folder: Path) -> list[Path]:
    """The same records in every form that is read."""
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    (folder / "a.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    for suffix, delimiter in {".csv": ",", ".tsv": "\t"}.items():
        quoted = [["text", "label"], *([f'"{text.replace(chr(34), chr(34) * 2)}"', label] for text, label in ROWS)]
        table = "".join(delimiter.join(row) + "\n" for row in quoted)
        # As spreadsheets write it, with a mark of the byte order.
        (folder / f"a{suffix}").write_text("\ufeff" + table, encoding="utf-8")
        (folder / f"a{suffix}.gz").write_bytes(gzip.compress(table.encode()))
    return sorted(folder.glob("a.*"))


def test_every_form_of_table_gives_the_same_records(tmp_path: Path) -> None:
    expected = [LabelledText(text, label) for (text, _), label in zip(ROWS, (1, 0, 1), strict=True)]
    files = _tables(tmp_path)
    assert len(files) == 6
    for file in files:
        assert _read(file) == expected


def test_a_record_that_cannot_be_read_says_where_and_why(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        '{"text": "fine", "label": 0}',
        '{"text": "cut',
        "[1]",
        '{"text": " ", "label": 0}',
        '{"text": "x", "label": 2}',
    ]
    file.write_text("\n".join(rows))
    found = _read(file)
    assert found[0] == LabelledText("fine", 0)
    assert [record.record for record in found[1:]] == ["line 2", "line 3", "line 4", "line 5"]
    reasons = ["not JSON", "not an object but list", "no text in 'text'", "'label' is 2, not one of bad, good"]
    assert all(record.reason.startswith(reason) for record, reason in zip(found[1:], reasons, strict=True))


def test_without_names_labels_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n')
    assert _read(tmp_path / "a.jsonl", None) == [LabelledText("fine", 0)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", r"has no text with a label; set the columns to two of none"),
        (
            "a.csv",
            b"words,stars\nx,1\n",
            r"set the columns to two of stars, words; the first: line 2, no text in 'text'",
        ),
        ("a.jsonl", b'{"text": "caf\xe9", "label": 0}\n', r"damaged or not in UTF-8"),
        ("a.jsonl.xz", lzma.compress(b'{"text": "x", "label": 0}\n' * 99)[:-20], r"damaged or not in UTF-8"),
        ("a.txt", b"x", r"texts come as .csv, .tsv, .jsonl, .ndjson"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        _read(tmp_path / name)


def test_a_text_that_occurs_twice_is_held_out_twice_or_never() -> None:
    records: list[Any] = [LabelledText(f"text {number % 50}", number % 2) for number in range(100)]
    held_out, left = hold_out(records, 0.2)
    assert len(held_out) == 20
    assert not {record.text for record in held_out} & {record.text for record in left}


def test_imdbs_validation_reviews_are_the_last_of_each_class(tmp_path: Path) -> None:
    for split, kind, number in itertools.product(("train", "test"), ("pos", "neg"), range(12)):
        file = tmp_path / "aclImdb" / split / kind / f"{number}_7.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{split} {kind} {number}<br /><br />end")
    splits = IMDbReviews(folder=str(tmp_path), val_fraction=0.25).read(None)
    assert [len(split) for split in splits] == [18, 6, 24]
    assert splits.val == [
        LabelledText(f"train {kind} {number} end", label)
        for label, kind in enumerate(("neg", "pos"))
        for number in (9, 10, 11)
    ]


@pytest.mark.real_data
def test_both_forms_of_the_genuine_reviews_agree(real_data: Path) -> None:
    lines = IMDbReviews(folder=str(real_data / "imdb"), val_fraction=0.1).read(None)
    assert [len(split) for split in lines] == [22496, 2500, 24996]
    assert sum(record.label for record in lines.test if isinstance(record, LabelledText)) == 12496
    files = IMDbReviews(folder=str(real_data / "imdb" / "aclImdb_mini"), val_fraction=0.1).read(None)
    assert [len(split) for split in files] == [90, 10, 100]
    assert set(files.test) < set(lines.test)


def test_generated_sentences_are_balanced_and_of_one_split_only() -> None:
    splits = SentimentSentences(num_train=400, num_val=50, num_test=50).read(None)
    texts = [record.text for split in splits for record in split if isinstance(record, LabelledText)]
    assert len(set(texts)) == 500
    assert [sum(record[1] for record in split if not isinstance(record, Unreadable)) for split in splits] == [
        200,
        25,
        25,
    ]
