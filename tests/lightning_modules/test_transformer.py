"""The Transformer's encoder: its attention against torch's and a literal loop, its positions, what padding does."""

import math

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.transformer.attention import MultiHeadAttention
from lightning_modules.transformer.network import Activation, EncoderLayer, Summary, Transformer, sinusoids

DIM, HEADS = 12, 3


def _attention() -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(dim=DIM, num_heads=HEADS, dropout=0.0).eval()


def _features() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    is_padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
    return torch.randn(2, 5, DIM), is_padding


def _copy_attention_(theirs: nn.MultiheadAttention, ours: MultiHeadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())


def test_attention_is_torchs() -> None:
    ours, (features, is_padding) = _attention(), _features()
    theirs = nn.MultiheadAttention(DIM, HEADS, batch_first=True).eval()
    _copy_attention_(theirs, ours)
    expected, weights = theirs(features, features, features, key_padding_mask=is_padding, average_attn_weights=False)
    torch.testing.assert_close(ours(features, is_padding), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.weights(features, is_padding), weights, atol=1e-5, rtol=0)


@torch.no_grad()
def test_attention_is_a_literal_loop_over_texts_heads_and_tokens() -> None:
    attention, (features, is_padding) = _attention(), _features()
    query, key, value = attention.query(features), attention.key(features), attention.value(features)
    size = DIM // HEADS
    mixed = torch.zeros_like(features)
    for text in range(len(features)):
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            for token in range(features.shape[1]):
                exponentials = [
                    0.0
                    if is_padding[text, other]
                    else math.exp(float(query[text, token, own] @ key[text, other, own]) / math.sqrt(size))
                    for other in range(features.shape[1])
                ]
                for other, exponential in enumerate(exponentials):
                    mixed[text, token, own] += exponential / sum(exponentials) * value[text, other, own]
    torch.testing.assert_close(attention(features, is_padding), attention.output(mixed), atol=1e-5, rtol=0)


def test_attention_weights_of_a_token_sum_to_one_and_leave_padding_out() -> None:
    attention, (features, is_padding) = _attention(), _features()
    weights = attention.weights(features, is_padding)
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(2, HEADS, 5))
    assert weights[1, :, :, 3:].abs().sum() == 0


def test_heads_that_do_not_share_the_features_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dim=12 features cannot be shared by num_heads=5; choose a divisor of 12"):
        MultiHeadAttention(dim=12, num_heads=5, dropout=0.0)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_layer_is_torchs(*, activation: Activation, norm_first: bool) -> None:
    torch.manual_seed(2)
    ours = EncoderLayer(
        dim=DIM,
        num_heads=HEADS,
        hidden_features=20,
        dropout=0.1,
        attention_dropout=0.1,
        activation=activation,
        norm_first=norm_first,
    ).eval()
    theirs = nn.TransformerEncoderLayer(
        DIM, HEADS, 20, activation=activation, norm_first=norm_first, batch_first=True
    ).eval()
    _copy_attention_(theirs.self_attn, ours.attention)
    theirs.linear1.load_state_dict(ours.hidden.state_dict())
    theirs.linear2.load_state_dict(ours.output.state_dict())
    theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
    theirs.norm2.load_state_dict(ours.output_norm.state_dict())
    features, is_padding = _features()
    expected = theirs(features, src_key_padding_mask=is_padding)
    found = ours(features, is_padding)
    torch.testing.assert_close(found[~is_padding], expected[~is_padding], atol=1e-5, rtol=0)


def test_positions_are_those_of_the_formula_written_by_hand() -> None:
    # Features 2i and 2i + 1 of four have wavelengths of 2 pi and 2 pi * 10000^(2/4) = 2 pi * 100.
    by_hand = [[math.sin(place), math.cos(place), math.sin(place / 100), math.cos(place / 100)] for place in range(4)]
    torch.testing.assert_close(sinusoids(torch.arange(4), dim=4), torch.tensor(by_hand))


def _transformer(**changes: object) -> Transformer:
    torch.manual_seed(3)
    settings = {
        "vocabulary_size": 11,
        "max_length": 6,
        "num_layers": 2,
        "dim": DIM,
        "num_heads": HEADS,
        "hidden_features": 16,
        "dropout": 0.1,
        "attention_dropout": 0.0,
        "activation": "relu",
        "norm_first": True,
        "positions": "sinusoidal",
        "embedding_std": 0.3,
        "embedding_factor": 2.0,
        "summary": "mean",
    }
    return Transformer(**{**settings, **changes}).eval()  # type: ignore[arg-type]


TOKENS = torch.tensor([[2, 5, 7, 3], [2, 9, 3, 0]])


@pytest.mark.parametrize("summary", ["mean", "first"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_more_padding_changes_nothing(summary: Summary, positions: str) -> None:
    network = _transformer(summary=summary, positions=positions)
    padded = nn.functional.pad(TOKENS, (0, 2))
    torch.testing.assert_close(network(padded).summary, network(TOKENS).summary, atol=1e-5, rtol=0)
    torch.testing.assert_close(network.attention(padded)[..., :4], network.attention(TOKENS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("summary", ["mean", "first"])
def test_the_order_of_words_matters(summary: Summary) -> None:
    network = _transformer(summary=summary)
    swapped = TOKENS[:1, [0, 2, 1, 3]]
    assert (network(swapped).summary - network(TOKENS[:1]).summary).abs().max() > 1e-3


@pytest.mark.parametrize("summary", ["mean", "first"])
def test_shown_attention_sums_to_one_in_every_head(summary: Summary) -> None:
    shown = _transformer(summary=summary).attention(TOKENS)
    assert shown.shape == (2, 2, HEADS, 4)
    torch.testing.assert_close(shown.sum(dim=3), torch.ones(2, 2, HEADS))


def test_a_text_longer_than_learned_positions_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"a text of 7 tokens, but positions were learned for 6; lower data.max_length"
    ):
        _transformer(positions="learned")(torch.ones(1, 7, dtype=torch.long))


def test_sinusoidal_positions_take_any_length() -> None:
    assert _transformer()(torch.ones(1, 40, dtype=torch.long)).features.shape == (1, 40, DIM)
