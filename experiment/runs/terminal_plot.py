"""Curves in a terminal: dots of Braille characters, two across and four down in each cell."""

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from experiment.runs.curves import Point

# In the order of the runs; a terminal shows them in its own palette.
COLOURS = ("blue", "red", "green", "magenta", "cyan", "yellow", "bright_blue", "bright_red", "bright_green", "white")
_BRAILLE = 0x2800
# Bit of each dot in a cell, by row and column (Unicode, block "Braille Patterns").
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def plot(curves: Sequence[Sequence[Point]], *, title: str, width: int, height: int) -> Text:
    """Curves over steps, the i-th in the i-th colour, with the ends of both axes; what is no number is left out.

    Args:
        width, height: in cells, without the axes.
    """
    finite = [[point for point in curve if math.isfinite(point.value)] for curve in curves]
    every = [point for curve in finite for point in curve]
    text = Text(f"{title}\n", style="bold")
    if not every:
        return text.append("no values\n", style="none")
    first, last = min(point.step for point in every), max(point.step for point in every)
    lowest, highest = min(point.value for point in every), max(point.value for point in every)
    dots = [[0] * width for _ in range(height)]
    colours = [[""] * width for _ in range(height)]
    for index, curve in enumerate(finite):
        pixels = [
            (
                round((point.step - first) / max(last - first, 1) * (2 * width - 1)),
                round((highest - point.value) / ((highest - lowest) or 1) * (4 * height - 1)),
            )
            for point in curve
        ]
        for x, y in _joined(pixels):
            dots[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
            colours[y // 4][x // 2] = COLOURS[index % len(COLOURS)]
    labels = [f"{highest:.4g}", *[""] * (height - 2), f"{lowest:.4g}"]
    margin = max(map(len, labels))
    for label, row, row_colours in zip(labels, dots, colours, strict=True):
        text.append(f"{label:>{margin}} │", style="none")
        for cell, colour in zip(row, row_colours, strict=True):
            text.append(chr(_BRAILLE + cell) if cell else " ", style=colour or "none")
        text.append("\n")
    axis = f"step {first}"
    text.append(
        f"{'':>{margin}} └{'─' * width}\n{'':>{margin}}  {axis}{last:>{max(width - len(axis), 1)}}\n", style="none"
    )
    return text


def _joined(pixels: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pixels of a line through all points."""
    drawn = pixels[:1]
    for (x0, y0), (x1, y1) in pairwise(pixels):
        count = max(abs(x1 - x0), abs(y1 - y0), 1)
        drawn += [(round(x0 + (x1 - x0) * i / count), round(y0 + (y1 - y0) * i / count)) for i in range(1, count + 1)]
    return drawn
