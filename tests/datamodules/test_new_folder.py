"""A generated folder is whole or not there, whatever happens while it is written."""

import stat
from pathlib import Path

import pytest

from datamodules.new_folder import new_folder


def test_a_folder_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "shapes"
    with new_folder(folder) as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not folder.exists()
    assert (folder / "a.txt").read_text() == "a"
    assert [path.name for path in folder.parent.iterdir()] == ["shapes"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_of_a_folder_that_an_error_ends_nothing_is_left(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "shapes") as unfinished:
            (unfinished / "a.txt").write_text("a")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_quicker_process_wrote_stays(tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    with new_folder(folder) as unfinished:
        (unfinished / "a.txt").write_text("second")
        folder.mkdir()
        (folder / "a.txt").write_text("first")
    assert (folder / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


def test_another_reason_not_to_take_the_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "shapes").write_text("a file")
    with pytest.raises(NotADirectoryError), new_folder(tmp_path / "shapes"):
        pass
