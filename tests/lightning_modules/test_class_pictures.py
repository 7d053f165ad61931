"""Predicted classes as values and as pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_modules.class_pictures import (
    ImagePrediction,
    draw_classification,
    draw_confusion_matrix,
    most_probable_classes,
)

WHOLE = [0.0, 0.0, 1.0, 1.0]


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
    classes = most_probable_classes(torch.tensor([[0.75, 0.25]]), count=2)[0]
    prediction = ImagePrediction(classes=classes, evidence=None, seen_xyxy=WHOLE)
    picture = np.array(draw_classification(tmp_path / "grey.png", prediction, ["ant", "bee"]))
    is_bar = (picture == (66, 133, 244)).all(axis=2)
    lengths = sorted(row.sum() for row in is_bar if row.any())
    assert lengths[-1] / lengths[0] == pytest.approx(3, rel=0.05)


def test_evidence_is_red_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200)).save(tmp_path / "black.png")
    # The network saw the middle square of 200 pixels; what it found lies in the upper left of that.
    evidence = np.zeros((8, 8))
    evidence[:2, :2] = 1.0
    prediction = ImagePrediction(
        classes=most_probable_classes(torch.tensor([[1.0, 0.0]]), count=2)[0],
        evidence=evidence.tolist(),
        seen_xyxy=[0.25, 0.0, 0.75, 1.0],
    )
    picture = np.array(draw_classification(tmp_path / "black.png", prediction, ["ant", "bee"]))
    # The second picture: 224 x 112 pixels, 56 from the top, of which the network saw columns 56 to 168.
    red = picture[56:168, 224:448, 0]
    assert red[2:20, 58:76].min() > 100
    assert red[:, :54].max() == red[:, 100:].max() == red[40:].max() == 0


def test_a_row_of_the_confusion_matrix_is_coloured_by_its_shares() -> None:
    count = torch.tensor([[30, 10], [0, 5]])
    picture = np.array(draw_confusion_matrix(count, ["a", "b"])).astype(int)
    side = picture.shape[0]
    margin = side - 20 - 2 * 56
    corners = [[picture[margin + r * 56 + 2, margin + c * 56 + 2] for c in (0, 1)] for r in (0, 1)]
    for row, shares in zip(corners, [(0.75, 0.25), (0, 1)], strict=True):
        for colour, share in zip(row, shares, strict=True):
            expected = 255 + (np.array([66, 133, 244]) - 255) * share
            np.testing.assert_allclose(colour, expected, atol=1)


@pytest.mark.parametrize("num_classes", [1, 31, 1000])
def test_any_number_of_classes_has_a_picture(num_classes: int) -> None:
    count = torch.zeros(num_classes, num_classes, dtype=torch.long)
    assert max(draw_confusion_matrix(count, ["name"] * num_classes).size) < 1100
