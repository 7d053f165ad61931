"""Predicted classes as values and as pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_modules.class_pictures import draw_classification, most_probable_classes


def test_the_most_probable_classes_come_first() -> None:
    probability = torch.tensor([[0.1, 0.6, 0.3], [0.7, 0.1, 0.2]])
    top = most_probable_classes(probability, count=2)
    assert [[entry["label"] for entry in sample] for sample in top] == [[1, 2], [0, 2]]
    assert top[0][0]["probability"] == pytest.approx(0.6)


def test_fewer_classes_than_asked_for_are_all_named() -> None:
    assert len(most_probable_classes(torch.tensor([[0.4, 0.6]]), count=5)[0]) == 2


@pytest.mark.parametrize("size", [(8, 8), (640, 427), (30, 900), (1, 1)])
def test_a_bar_is_as_long_as_its_class_is_probable(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 128).save(tmp_path / "grey.png")
    prediction = most_probable_classes(torch.tensor([[0.75, 0.25]]), count=2)[0]
    picture = np.array(draw_classification(tmp_path / "grey.png", prediction, ["ant", "bee"]))
    is_bar = (picture == (66, 133, 244)).all(axis=2)
    lengths = sorted(row.sum() for row in is_bar if row.any())
    assert lengths[-1] / lengths[0] == pytest.approx(3, rel=0.05)
