"""Made-up opinions in which the order of words decides: negation turns a word round, the clause after "but" counts."""

from collections.abc import Sequence

import numpy as np

from datamodules.randomness import seed_of
from datamodules.text_records import LabelledText, Record, TextSplits

# Of what is written: raise it with any change, so that no one takes old results for new ones.
VERSION = 1
_SUBJECTS = (
    "the film",
    "the plot",
    "the cast",
    "the music",
    "the ending",
    "the story",
    "this scene",
    "the camera work",
)
_VERBS = ("is", "was", "seemed", "felt")
_STRENGTHS = ("", "really ", "quite ", "rather ", "truly ")
_NEGATIONS = ("not ", "never ", "hardly ")
# Negative, positive.
_ADJECTIVES = (
    ("bad", "boring", "awful", "weak", "terrible", "clumsy", "dull", "poor"),
    ("good", "exciting", "wonderful", "strong", "brilliant", "clever", "moving", "rich"),
)
_LARGEST_NUMBER = 20_000


class SentimentSentences:
    """Sentences of one clause or two, half of them positive, no two the same.

    Args:
        num_train, num_val, num_test: sentences of the splits.

    Raises:
        ValueError: a split is empty, or more are asked for than there are different ones to find quickly.
    """

    def __init__(self, *, num_train: int, num_val: int, num_test: int) -> None:
        self.numbers = (num_train, num_val, num_test)
        if min(self.numbers) < 1 or sum(self.numbers) > _LARGEST_NUMBER:
            raise ValueError(
                f"data.source asks for {self.numbers} sentences; choose 1 or more for each split, at most"
                f" {_LARGEST_NUMBER} together"
            )

    def read(self, class_names: Sequence[str] | None) -> TextSplits:
        """The same sentences every time."""
        generator = np.random.default_rng(seed_of(VERSION))
        found: dict[str, int] = {}
        while len(found) < sum(self.numbers):
            label = len(found) % 2
            found.setdefault(_sentence(generator, label), label)
        records: list[Record] = [LabelledText(text, label) for text, label in found.items()]
        train, val, test = np.split(np.arange(len(records)), np.cumsum(self.numbers)[:-1])
        return TextSplits(*([records[index] for index in part] for part in (train, val, test)))

    def clean(self, text: str) -> str:
        """The text as it is."""
        return text


def _sentence(generator: np.random.Generator, label: int) -> str:
    verdict = _clause(generator, label)
    if generator.uniform() < 0.5:
        return f"{verdict}."
    before = _clause(generator, 1 - label)
    return f"{before} but {verdict}."


def _clause(generator: np.random.Generator, label: int) -> str:
    is_negated = generator.uniform() < 0.5
    subject, verb, strength, negation = (
        options[int(generator.integers(len(options)))] for options in (_SUBJECTS, _VERBS, _STRENGTHS, _NEGATIONS)
    )
    adjectives = _ADJECTIVES[1 - label if is_negated else label]
    adjective = adjectives[int(generator.integers(len(adjectives)))]
    return f"{subject} {verb} {negation if is_negated else ''}{strength}{adjective}"
