"""Keeping what was learned.

A model's memory is its arrays, each with a name that follows from where it stands. Written to a file by name, they can
be read into a new model of the same structure; one of another structure is refused, with the names that do not fit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from engine import functions as F
from engine.models import MLP
from engine.weights import load_weights, save_weights


def round_trip(source: MLP, target: MLP) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        save_weights(source, path)
        load_weights(target, path)


def main() -> None:
    x = torch.linspace(-1.0, 1.0, 3)[:, None]
    first, second = MLP([5, 1], F.tanh, in_size=1), MLP([5, 1], F.tanh)
    print("one model:      ", first(x))
    round_trip(first, second)
    print("another, loaded:", second(x))
    try:
        round_trip(first, MLP([6, 1], F.tanh, in_size=1))
    except ValueError as error:
        print("refused:", str(error).split(", in ")[0])


def test_a_loaded_model_computes_the_same() -> None:
    x = torch.randn(4, 1)
    first, second = MLP([5, 1], in_size=1), MLP([5, 1])
    round_trip(first, second)
    assert first(x).array.equal(second(x).array)
