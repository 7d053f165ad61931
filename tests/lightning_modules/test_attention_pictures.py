"""Attention shown on words: every sign of the text stays, the shade is the share, and nothing of a text is markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment import training
from experiment.failures import Refused
from experiment.prediction import run_prediction
from lightning_modules.attention_pictures import TextPrediction, attention_page, draw_attention, pieces_of, shades
from tests.conftest import MakeRequest

NAMES = ["negative", "positive"]
TEXT = "Not <b>bad</b>,\n정말 面白い"


def _prediction(text: str = TEXT) -> TextPrediction:
    spans = [[0, 0], *([match.start(), match.end()] for match in re.finditer(r"\w+", text)), [0, 0]]
    generator = np.random.default_rng(0)
    attention = generator.dirichlet(np.ones(len(spans)), size=(2, 3)).tolist()
    return TextPrediction(
        classes=[{"label": 1, "probability": 0.75}, {"label": 0, "probability": 0.25}],
        text=text,
        spans=spans,
        attention=attention,
    )


class _Reader(HTMLParser):
    """What a browser would show of the texts, and the elements that it would make of them."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.tags: list[str] = []
        self.is_in_text = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.is_in_text = self.is_in_text or tag == "p"
        if self.is_in_text:
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.is_in_text = self.is_in_text and tag != "p"

    def handle_data(self, data: str) -> None:
        if self.is_in_text:
            self.shown.append(data)


def test_pieces_make_up_the_whole_text() -> None:
    prediction = _prediction()
    pieces = pieces_of(prediction["text"], prediction["spans"])
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [piece.text for piece in pieces if piece.token is not None] == ["Not", "b", "bad", "b", "정말", "面白い"]


def test_several_tokens_for_one_sign_show_it_once() -> None:
    assert [piece.text for piece in pieces_of("é!", [[0, 1], [0, 1], [1, 2]])] == ["é", "!"]


def test_the_most_attended_word_has_the_full_shade_and_special_tokens_have_none() -> None:
    assert shades([0.7, 0.1, 0.05, 0.15], [[0, 0], [0, 2], [3, 4], [5, 6]]) == [0, 0.667, 0.333, 1]


def test_a_text_that_gets_no_attention_has_no_shade() -> None:
    assert shades([1.0, 0.0, 0.0], [[0, 0], [0, 2], [3, 4]]) == [0, 0, 0]


def test_a_page_shows_the_text_and_takes_none_of_it_for_markup() -> None:
    reader = _Reader()
    reader.feed(attention_page(["a.txt"], [_prediction()], NAMES))
    assert "".join(reader.shown) == TEXT
    assert set(reader.tags) == {"p", "span"}


def test_a_page_has_every_heads_attention_and_the_probability_beside_the_text() -> None:
    prediction = _prediction()
    page = attention_page(["a.txt", "b.txt"], [prediction, prediction], NAMES)
    stored = re.search(r"const attention = (.*);\n", page)
    assert stored is not None
    assert json.loads(stored[1]) == [prediction["attention"]] * 2
    assert page.count("<td>positive</td><td>75.0%</td>") == 2


def test_the_words_of_a_picture_are_darker_the_more_attention_they_get() -> None:
    text = "alpha beta gamma"
    prediction = _prediction(text)
    prediction["attention"] = [[[0.4, 0.4, 0.2, 0.0, 0.0]]]
    picture = np.asarray(draw_attention("a.txt", prediction, NAMES)).astype(int)
    colours, counts = np.unique(picture[40:60, :300].reshape(-1, 3), axis=0, return_counts=True)
    large = {tuple(colour.tolist()) for colour, count in zip(colours, counts, strict=True) if count > 150}
    assert {(255, 110, 60), (255, 182, 158), (255, 255, 255)} <= large


@pytest.mark.parametrize("text", ["x", "word " * 2000, "\n\n", "a" * 3000])
def test_a_text_of_any_length_and_form_is_drawn(text: str) -> None:
    assert draw_attention("a.txt", _prediction(text), NAMES).height > 60


def test_prediction_writes_a_picture_of_every_text_and_a_page_of_all(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request(
        "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1", experiment="transformer_sentences",
    )  # fmt: skip
    training.run_training(request)
    texts = {"a": "The film was not bad.", "ko": "이 영화는 정말 재미있어요", "ja": "この映画は面白い。"}
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name, text in texts.items():
        (inputs / f"{name}.txt").write_text(text, encoding="utf-8")
    command = {"run": request.run.id, "inputs": str(inputs), "output_dir": str(tmp_path / "seen"), "checkpoint": "best",
               "accelerator": "cpu"}  # fmt: skip
    folder = run_prediction(command, request.run)
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["a.png", "ja.png", "ko.png", "predictions.html", "predictions.json"]
    entries = json.loads((folder / "predictions.json").read_text())["predictions"]
    assert {entry["prediction"]["text"] for entry in entries} == set(texts.values())
    for entry in entries:
        sums = np.sum(entry["prediction"]["attention"], axis=2)
        # Four decimals are written of each.
        np.testing.assert_allclose(sums, 1.0, atol=2e-3)


def test_a_file_that_is_no_text_is_refused_by_its_name(make_request: MakeRequest, tmp_path: Path) -> None:
    request = make_request(
        "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1", experiment="transformer_sentences",
    )  # fmt: skip
    training.run_training(request)
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    command = {"run": request.run.id, "inputs": str(tmp_path / "a.txt"), "output_dir": None, "checkpoint": "best",
               "accelerator": "cpu"}  # fmt: skip
    with pytest.raises(Refused, match=r"a\.txt: not UTF-8 \(unexpected end of data at byte 3\)"):
        run_prediction(command, request.run)
