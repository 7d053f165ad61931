"""The README's picture: rows of pictures, put together from what predict.py draws."""

from pathlib import Path

import pytest
from PIL import Image

from docs.picture_strip import GAP, TITLE_HEIGHT, WIDTH, strip

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "predictions.png"


def test_the_pictures_of_a_row_have_one_height_and_fill_the_width() -> None:
    red, blue = Image.new("RGB", (30, 60), "red"), Image.new("RGB", (200, 100), "blue")
    sheet = strip([[("a tall one", red), ("a wide one", blue)]])
    # Widths of 1/2 and 2 heights, and a gap.
    height = round((WIDTH - GAP) / 2.5)
    assert sheet.size == (WIDTH, TITLE_HEIGHT + height)
    for top in (TITLE_HEIGHT, TITLE_HEIGHT + height - 1):
        assert sheet.getpixel((0, top)) == (255, 0, 0)
        assert sheet.getpixel((WIDTH - 3, top)) == (0, 0, 255)


def test_the_committed_picture_is_small_and_as_wide_as_the_strip() -> None:
    assert PICTURE.stat().st_size < 300_000
    with Image.open(PICTURE) as picture:
        assert picture.width == WIDTH


def test_rows_of_any_number_lie_below_each_other() -> None:
    image = Image.new("RGB", (600, 100), "red")
    one, three = strip([[("one", image)]]), strip([[("one", image)]] * 3)
    assert three.height == 3 * one.height + 2 * GAP
    assert three.height == pytest.approx(3 * (TITLE_HEIGHT + WIDTH / 6) + 2 * GAP)
