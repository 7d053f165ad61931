"""Texts as batches: cached tokens, length buckets, hidden tokens, pairs of passages."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.batches import NOT_HIDDEN, PADDING, MaskedTextBatch, TextClassificationBatch
from datamodules.labelled_texts import LabelledTextsDataModule
from datamodules.length_buckets import LengthBuckets
from datamodules.loading import Draw, Position, Share, TrainingOrder
from datamodules.masked_texts import MaskedTextsDataModule, PassagePairs
from datamodules.token_files import take_apart
from datamodules.tokenized_texts import shortened
from datamodules.unreadable import UnreadableSample
from datamodules.vocabulary import Words

SENTENCES = {
    "_target_": "datamodules.sentiment_sentences.SentimentSentences", "num_train": 60, "num_val": 10, "num_test": 10
}  # fmt: skip
WORDS = {"_target_": "datamodules.vocabulary.Words", "size": 100, "lowercase": True, "min_count": 1}


def _labelled(tmp_path: Path, **changes: Any) -> LabelledTextsDataModule:
    settings: dict[str, Any] = {
        "source": SENTENCES,
        "vocabulary": WORDS,
        "class_names": ["negative", "positive"],
        "num_classes": 2,
        "cache_dir": str(tmp_path / "cache"),
        "max_length": 32,
        "head_tokens": 10,
        "num_labelled": None,
        "hide_probability": 0.0,
        "rounds_per_pool": 2,
        "batch_size": 8,
        "num_workers": 0,
        "seed": 1,
        "on_error": "raise",
    }
    return LabelledTextsDataModule(**{**settings, **changes})


def test_few_labels_are_the_same_texts_for_every_seed_and_the_vocabulary_is_of_all(tmp_path: Path) -> None:
    def texts_of(seed: int, num_labelled: int | None) -> tuple[list[tuple[int, ...]], str]:
        data = _labelled(tmp_path, seed=seed, num_labelled=num_labelled)
        data.setup("fit")
        loader: Any = data.train_dataloader()
        return sorted(tuple(filter(None, row)) for batch in loader for row in batch.token.tolist()), data.state_dict()[
            "vocabulary"
        ]

    few, vocabulary = texts_of(1, 16)
    everything, whole_vocabulary = texts_of(1, None)
    assert len(few) == 16 < len(everything)
    assert texts_of(2, 16) == (few, vocabulary)
    assert vocabulary == whole_vocabulary


def test_an_unreadable_review_stops_the_run_or_is_left_out(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"fine {number}", "label": number % 2}) for number in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, "{"]))
    source = {
        "_target_": "datamodules.text_files.TextFiles", "train_file": str(tmp_path / "a.jsonl"),
        "val_file": str(tmp_path / "a.jsonl"), "test_file": str(tmp_path / "a.jsonl"), "text_column": "text",
        "label_column": "label", "val_fraction": 0.1, "test_fraction": 0.1,
    }  # fmt: skip
    with pytest.raises(UnreadableSample, match=r"a.jsonl, line 41: not JSON"):
        _labelled(tmp_path, source=source).setup("fit")
    data = _labelled(tmp_path, source=source, on_error="skip")
    data.setup("fit")
    loader: Any = data.test_dataloader()
    assert sum(len(batch.label) for batch in loader) == 40
    assert [skipped.record for skipped in loader.skipped] == ["line 41"]


def test_somebody_who_writes_pad_means_it(tmp_path: Path) -> None:
    data = _labelled(tmp_path, vocabulary={"_target_": "datamodules.vocabulary.BytePairs", "size": 270})
    data.setup("fit")
    (tmp_path / "a.txt").write_text("[PAD] [MASK]")
    token = next(iter(data.files_dataloader([tmp_path / "a.txt"]))).token
    assert (token == PADDING).sum() == 0
    assert token.shape[1] > 10


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    tokens = np.arange(10, dtype=np.int32)
    assert shortened(tokens, to=5, head=2).tolist() == [0, 1, 7, 8, 9]
    assert shortened(tokens, to=5, head=5).tolist() == [0, 1, 2, 3, 4]
    assert shortened(tokens, to=10, head=2).tolist() == tokens.tolist()


def test_tokens_are_taken_apart_once_and_again_where_the_file_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokens() -> list[int]:
        data = _labelled(tmp_path)
        data.setup("fit")
        found: list[int] = data.texts.split("train").tokens.token.tolist()
        return found

    expected = tokens()
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 4
    with monkeypatch.context() as patched:
        patched.setattr("datamodules.token_files.take_apart", None)
        assert tokens() == expected
    for file in files:
        file.write_bytes(file.read_bytes()[:50])
    assert tokens() == expected


def test_tokens_of_many_texts_are_those_of_each() -> None:
    tokenizer = Words(size=50, lowercase=True, min_count=1).learn(["a b c"])
    sequences = take_apart(["a b", "", "c a b"], tokenizer)
    assert [sequences[index].tolist() for index in range(3)] == [[5, 6], [], [7, 5, 6]]
    assert sequences.lengths.tolist() == [2, 0, 3]


def test_a_batch_of_training_is_the_same_whatever_was_drawn_before(tmp_path: Path) -> None:
    data = _labelled(tmp_path, hide_probability=0.3)
    data.setup("fit")
    dataset: Any = data.train_dataloader().dataset
    first = dataset.__getitems__([Draw(3, 0), Draw(5, 0)]).batch
    dataset.__getitems__([Draw(9, 0)])
    assert torch.equal(dataset.__getitems__([Draw(3, 0), Draw(5, 0)]).batch.token, first.token)
    assert not torch.equal(dataset.__getitems__([Draw(3, 1), Draw(5, 1)]).batch.token, first.token)


def test_hidden_words_are_unknown_and_special_tokens_stay(tmp_path: Path) -> None:
    data = _labelled(tmp_path, hide_probability=0.5)
    data.setup("fit")
    loader: Any = data.train_dataloader()
    batches: list[TextClassificationBatch] = list(loader)
    token = torch.cat([batch.token.flatten() for batch in batches])
    own = token[(token != PADDING) & (token != 2) & (token != 3)]
    assert 0.45 < float((own == 1).float().mean()) < 0.55
    for batch in batches:
        assert (batch.token[:, 0] == 2).all()
        assert ((batch.token == 3).sum(dim=1) == 1).all()


def test_buckets_have_every_sample_once_and_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, size=1000)
    buckets = LengthBuckets(lengths, samples_per_round=20, rounds_per_pool=10)

    def batches(arrange: LengthBuckets | None) -> list[list[int]]:
        order = TrainingOrder(
            1000, batch_size=20, seed=1, share=Share(0, 1), position=lambda: Position(0, 0), arrange=arrange
        )
        return [[draw.sample for draw in batch] for batch in order]

    def padding(of: list[list[int]]) -> float:
        padded = sum(len(batch) * max(lengths[batch]) for batch in of)
        return float(1 - lengths.sum() / padded)

    assert sorted(itertools.chain(*batches(buckets))) == list(range(1000))
    # Twenty uniform numbers from 5 to 99 have their greatest at about 95, while the mean is 52.
    assert padding(batches(None)) > 0.4
    # Sorted, ten batches are each a tenth of the range, whose half is 4.8.
    assert padding(batches(buckets)) == pytest.approx(4.8 / (52 + 4.8), abs=0.02)
    assert batches(buckets) == batches(buckets)


def test_evaluation_shows_every_text_once_the_short_ones_first(tmp_path: Path) -> None:
    data = _labelled(tmp_path)
    data.setup("fit")
    lengths = [int(n) for batch in data.test_dataloader() for n in (batch.token != PADDING).sum(dim=1)]
    assert lengths == sorted(data.texts.split("test").tokens.lengths + 2)


def _masked(tmp_path: Path) -> MaskedTextsDataModule:
    data = MaskedTextsDataModule(
        source=SENTENCES, vocabulary=WORDS, cache_dir=str(tmp_path), max_length=16, pairs=True, hidden_fraction=0.15,
        batch_size=20, num_workers=0, seed=1, on_error="raise",
    )  # fmt: skip
    data.setup("fit")
    return data


def test_hidden_tokens_are_shown_as_the_paper_says(tmp_path: Path) -> None:
    data = _masked(tmp_path)
    pairs = PassagePairs(data.texts.split("train"), data.texts, max_length=16, pairs=True, hidden_fraction=0.15, seed=1)
    counts = {"masked": 0, "same": 0, "random": 0, "places": 0, "next": 0}
    for epoch, sample in itertools.product(range(60), range(60)):
        pair = pairs(Draw(sample, epoch))
        is_hidden = pair.hidden != NOT_HIDDEN
        assert not np.isin(pair.hidden[is_hidden], [2, 3]).any()
        counts["masked"] += int((pair.token[is_hidden] == 4).sum())
        counts["same"] += int((pair.token[is_hidden] == pair.hidden[is_hidden]).sum())
        counts["random"] += int(((pair.token != 4) & (pair.token != pair.hidden))[is_hidden].sum())
        counts["places"] += int(is_hidden.sum())
        counts["next"] += pair.is_next
    assert counts["masked"] / counts["places"] == pytest.approx(0.8, abs=0.02)
    assert counts["same"] / counts["places"] == pytest.approx(0.1, abs=0.02)
    assert counts["random"] / counts["places"] == pytest.approx(0.1, abs=0.02)
    assert counts["next"] / 3600 == pytest.approx(0.5, abs=0.03)


def test_a_next_passage_follows_in_its_text_and_another_one_rarely_does(tmp_path: Path) -> None:
    data = _masked(tmp_path)
    split = data.texts.split("train")
    pairs = PassagePairs(split, data.texts, max_length=16, pairs=True, hidden_fraction=0.15, seed=1)
    follows = {True: 0, False: 0}
    for sample in range(60):
        pair = pairs(Draw(sample, 0))
        whole = np.where(pair.hidden == NOT_HIDDEN, pair.token, pair.hidden)
        assert len(whole) <= 16
        own = whole[(whole != 2) & (whole != 3)].tolist()
        text = split.tokens[sample].tolist()
        is_part = any(text[start : start + len(own)] == own for start in range(len(text)))
        assert is_part or not pair.is_next
        follows[pair.is_next] += is_part
    assert follows[True] > 20
    assert follows[False] < 5


def test_a_single_passage_is_one_piece_of_its_text_and_fills_the_sequence(tmp_path: Path) -> None:
    data = _masked(tmp_path)
    split = data.texts.split("train")
    passages = PassagePairs(split, data.texts, max_length=8, pairs=False, hidden_fraction=0.15, seed=1)
    for sample in range(60):
        passage = passages(Draw(sample, 0))
        whole = np.where(passage.hidden == NOT_HIDDEN, passage.token, passage.hidden).tolist()
        text = split.tokens[sample].tolist()
        assert (whole[0], whole[-1], len(whole)) == (2, 3, min(8, len(text) + 2))
        assert any(text[start : start + len(whole) - 2] == whole[1:-1] for start in range(len(text)))
        assert not passage.segment.any()


def test_a_masked_batch_hides_nothing_behind_a_text(tmp_path: Path) -> None:
    batch: MaskedTextBatch = next(iter(_masked(tmp_path).train_dataloader()))
    assert (batch.hidden[batch.token == PADDING] == NOT_HIDDEN).all()
    assert ((batch.hidden != NOT_HIDDEN).sum(dim=1) >= 1).all()
    assert set(batch.segment.unique().tolist()) == {0, 1}


def test_a_vocabulary_goes_with_the_checkpoint(tmp_path: Path) -> None:
    data = _labelled(tmp_path)
    data.setup("fit")
    elsewhere = _labelled(tmp_path)
    elsewhere.load_state_dict(data.state_dict())
    (tmp_path / "a.txt").write_text("The film was not bad.")
    here = next(iter(data.files_dataloader([tmp_path / "a.txt"])))
    assert torch.equal(next(iter(elsewhere.files_dataloader([tmp_path / "a.txt"]))).token, here.token)
    assert [here.text[0][start:end] for start, end in here.spans[0]][1:3] == ["The", "film"]
    other = _labelled(tmp_path, vocabulary={**WORDS, "size": 20})
    other.setup("fit")
    with pytest.raises(ValueError, match=r"the texts or the vocabulary are not those of the checkpoint"):
        other.load_state_dict(data.state_dict())
