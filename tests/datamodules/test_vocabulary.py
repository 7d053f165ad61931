"""How texts are taken apart: into words, WordPieces, pairs of bytes, in several languages."""

from pathlib import Path

import pytest

from datamodules.sentiment_sentences import SentimentSentences
from datamodules.text_records import LabelledText
from datamodules.vocabulary import SPECIAL, BytePairs, Words, build_vocabulary

WORDS = {"_target_": "datamodules.vocabulary.Words", "size": 100, "lowercase": True, "min_count": 1}
PIECES = {
    "_target_": "datamodules.vocabulary.WordPieces", "size": 120, "file": None, "lowercase": True,
    "strip_accents": False,
}  # fmt: skip


def test_words_are_the_most_frequent_and_the_rest_is_unknown() -> None:
    tokenizer = Words(size=7, lowercase=True, min_count=1).learn(["b a b", "A c"])
    assert tokenizer.get_vocab() == {**{token: index for index, token in enumerate(SPECIAL)}, "a": 5, "b": 6}
    assert tokenizer.encode("B, c").ids == [6, 1, 1]


def test_japanese_is_taken_apart_by_signs_and_korean_by_words() -> None:
    tokenizer = Words(size=100, lowercase=True, min_count=1).learn(["この映画は面白い。", "이 영화는 재미있어요"])
    assert tokenizer.encode("映画 面白い。").tokens == ["映", "画", "面", "白", "い", "。"]
    assert tokenizer.encode("영화는 재미있어요").tokens == ["영화는", "재미있어요"]


def test_no_text_of_any_language_has_an_unknown_byte() -> None:
    tokenizer = BytePairs(size=300).learn(["only English was learned from"])
    for text in ("이 영화는 정말 재미있어요", "この映画は素晴らしい。", "😀 ﷽ é"):
        encoding = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.token_to_id("[UNK]") not in encoding.ids
        # Every sign belongs to a token.
        seen = {place for start, end in encoding.offsets for place in range(start, end)}
        assert seen == set(range(len(text)))


def test_pieces_are_learned_at_the_beginning_and_in_the_middle_of_words() -> None:
    # Five special tokens, five letters that begin a word or continue one, and the most frequent pair.
    tokenizer = build_vocabulary({**PIECES, "size": 16}).learn(["xab yab zab"])
    assert tokenizer.encode("Xab axb", add_special_tokens=False).tokens == ["x", "##ab", "a", "##x", "##b"]


@pytest.mark.parametrize("kind", ["Words", "WordPieces", "BytePairs"])
def test_the_same_texts_give_the_same_vocabulary(kind: str) -> None:
    settings = {"Words": WORDS, "WordPieces": PIECES, "BytePairs": {"size": 280}}[kind]
    vocabulary = build_vocabulary({**settings, "_target_": f"datamodules.vocabulary.{kind}"})
    records = SentimentSentences(num_train=50, num_val=1, num_test=1).read(None).train
    texts = [record.text for record in records if isinstance(record, LabelledText)]
    assert vocabulary.learn(texts).to_str() == vocabulary.learn(texts).to_str()


@pytest.mark.real_data
def test_word_pieces_of_the_published_vocabulary_are_hugging_faces(real_data: Path) -> None:
    from transformers import BertTokenizer

    file = real_data / "bert" / "vocab.txt"
    ours = build_vocabulary({**PIECES, "size": 30522, "file": str(file), "strip_accents": True}).learn([])
    theirs = BertTokenizer(str(file))
    for text in ("Unbelievably GOOD!! café (10/10)", "이 영화는 재미있어요", "この映画は面白い。"):
        assert ours.encode(text, add_special_tokens=False).tokens == theirs.tokenize(text)


def test_a_vocabulary_that_is_missing_or_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no vocabulary .*vocab.txt; put a vocab.txt there, or learn"):
        build_vocabulary({**PIECES, "file": str(tmp_path / "vocab.txt")}).learn([])
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "a"]))
    with pytest.raises(ValueError, match=r"has 6 tokens; set data.vocabulary.size to that, not to 120"):
        build_vocabulary({**PIECES, "file": str(tmp_path / "vocab.txt")}).learn([])
