"""README.ko.md says what README.md says: section by section the same commands, links, code, tables and numbers."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).resolve().parent.parent


class Section(NamedTuple):
    """What of a section is the same in every language."""

    level: int
    block: list[str]
    links: list[str]
    code: list[str]
    numbers: list[str]
    num_items: int
    num_table_rows: int


def sections(name: str) -> list[Section]:
    """A document, cut at its headings."""
    parts = re.split(r"^(#+) .*\n", (PROJECT / name).read_text(), flags=re.MULTILINE)
    return [_section(len(marks), body) for marks, body in zip(parts[1::2], parts[2::2], strict=True)]


def _section(level: int, body: str) -> Section:
    lines = body.splitlines()
    indented = [line for line in lines if line.startswith("    ")]
    prose = "\n".join(line for line in lines if not line.startswith("    "))
    links = re.findall(r"\]\(([^)]+)\)", prose)
    code = re.findall(r"`([^`]+)`", prose)
    text = re.sub(r"\]\([^)]+\)|`[^`]+`", "", prose)
    return Section(
        level,
        # A command's comment is translated, what it prints is not.
        [re.sub(r"\s+# .*$", "", line) for line in indented],
        # The order of words differs.
        sorted(link for link in links if not link.startswith("README")),
        sorted(code),
        sorted(re.findall(r"\d[\d.,]*\d|\d", text)),
        len(re.findall(r"^- ", prose, re.MULTILINE)),
        len(re.findall(r"^\|", prose, re.MULTILINE)),
    )


ENGLISH, KOREAN = sections("README.md"), sections("README.ko.md")


def test_both_have_the_same_sections() -> None:
    assert [section.level for section in KOREAN] == [section.level for section in ENGLISH]


@pytest.mark.parametrize("field", Section._fields)
def test_a_translated_section_has_the_same(field: str) -> None:
    assert [getattr(section, field) for section in KOREAN] == [getattr(section, field) for section in ENGLISH]


def test_each_links_to_the_other() -> None:
    assert "](README.ko.md)" in (PROJECT / "README.md").read_text()
    assert "](README.md)" in (PROJECT / "README.ko.md").read_text()


def test_the_korean_one_is_in_korean() -> None:
    prose = [line for line in (PROJECT / "README.ko.md").read_text().splitlines() if line[:1].isalpha()]
    without_hangul = [line for line in prose if not re.search("[가-힣]", line)]
    assert without_hangul == ["Apache-2.0."]
