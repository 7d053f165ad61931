"""What a masked language model guesses for hidden tokens of a text, as plain values and as a picture."""

from typing import TypedDict

from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from lightning_modules.attention_pictures import draw_shaded_text
from lightning_modules.class_pictures import ClassProbability, most_probable_classes

_GUESSES = 3


class HiddenToken(TypedDict):
    """Which token of the text is hidden, and the most probable ones in its place."""

    place: int
    guesses: list[ClassProbability]


class GuessedText(TypedDict):
    """A text, its tokens' starts and ends in it, and those that were hidden."""

    text: str
    spans: list[list[int]]
    hidden: list[HiddenToken]


def guessed_texts(
    scores: Float[Tensor, "B L V"],
    is_hidden: Bool[Tensor, "B L"],
    *,
    texts: list[str],
    spans: list[list[tuple[int, int]]],
) -> list[GuessedText]:
    """For every text what is guessed where something is hidden."""
    found = []
    for row, (text, places) in enumerate(zip(texts, spans, strict=True)):
        hidden = is_hidden[row].nonzero().flatten()
        guesses = most_probable_classes(scores[row, hidden].softmax(dim=1), count=_GUESSES)
        tokens = [HiddenToken(place=p, guesses=g) for p, g in zip(hidden.tolist(), guesses, strict=True)]
        found.append(GuessedText(text=text, spans=[list(span) for span in places], hidden=tokens))
    return found


def draw_guesses(title: str, prediction: GuessedText, tokens: list[str]) -> Image.Image:
    """The text, hidden tokens shaded, and beside it for each what stood there and the best guess."""
    shade = [0.0] * len(prediction["spans"])
    answers = []
    for hidden in prediction["hidden"]:
        shade[hidden["place"]] = 1.0
        start, end = prediction["spans"][hidden["place"]]
        best = hidden["guesses"][0]
        # An arrow is not in the font.
        answers.append((f"{prediction['text'][start:end]}: {tokens[best['label']]}", best["probability"]))
    return draw_shaded_text(title, prediction["text"], prediction["spans"], shade=shade, answers=answers)
