"""The outputs folder of a test, and `runs.py` called in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

import runs as command_line


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Where `FIRSTHAND_OUTPUTS` points."""
    return tmp_path / "outputs"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `runs.py` prints for arguments; its refusal, if it refuses."""

    def answer(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["runs.py", *arguments])
        command_line.main()
        captured = capsys.readouterr()
        return captured.out + captured.err

    return answer
