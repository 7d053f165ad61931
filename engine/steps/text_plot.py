"""Pictures in letters, for the steps."""

from __future__ import annotations

from collections.abc import Sequence

SHADES = " .:-=+*#%@"


def curve(values: Sequence[float], *, width: int = 60, height: int = 10) -> str:
    """A line through the values, their range at its left."""
    chosen = [values[i * (len(values) - 1) // max(width - 1, 1)] for i in range(min(width, len(values)))]
    low, high = min(chosen), max(chosen)
    rows = [round((value - low) / ((high - low) or 1.0) * (height - 1)) for value in chosen]
    lines = ["".join("*" if row == level else " " for row in rows) for level in reversed(range(height))]
    labels = {0: f"{high:10.4g} ", height - 1: f"{low:10.4g} "}
    return "\n".join(labels.get(i, " " * 11) + "|" + line.rstrip() for i, line in enumerate(lines))


def shading(rows: Sequence[Sequence[float]]) -> str:
    """Dark letters for large numbers."""
    flat = [value for row in rows for value in row]
    low, high = min(flat), max(flat)
    scale = (len(SHADES) - 1) / ((high - low) or 1.0)
    return "\n".join("".join(SHADES[int((value - low) * scale)] * 2 for value in row).rstrip() for row in rows)
