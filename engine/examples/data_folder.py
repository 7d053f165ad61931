"""Where the genuine data lie."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(given: str | Path | None) -> Path:
    """The folder that was given, else the one that FIRSTHAND_DATA names."""
    folder = given or os.environ.get("FIRSTHAND_DATA")
    if not folder:
        raise ValueError("no folder of data: give one (--data), or set FIRSTHAND_DATA to it")
    return Path(folder)
