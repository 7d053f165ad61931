"""A Transformer's training steps with and without length buckets; fused attention against the same written out."""

import itertools
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import Figure, compare
from datamodules.batches import PADDING
from datamodules.length_buckets import LengthBuckets
from datamodules.token_files import TokenSequences
from datamodules.tokenized_texts import padded, shortened
from lightning_modules.transformer.attention import MultiHeadAttention
from lightning_modules.transformer.network import Transformer

ROUNDS = 5
BATCH_SIZE = 32
NUM_BATCHES = 6
MAX_LENGTH = 510
VOCABULARY = 20_000


def reviews(*, count: int) -> TokenSequences:
    """Sequences whose lengths are spread like those of IMDb's reviews: half below 200 words, some above 1,000."""
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.lognormal(mean=5.3, sigma=0.65, size=count), 10, 2500).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(lengths)])
    return TokenSequences(generator.integers(5, VOCABULARY, size=start[-1], dtype=np.int32), start)


def batches(sequences: TokenSequences, *, bucketed: bool) -> list[Tensor]:
    """Some batches of an epoch, evenly spread over it, so that each way of making them shows long and short ones."""
    generator = np.random.default_rng(1)
    order = generator.permutation(len(sequences))
    if bucketed:
        arrange = LengthBuckets(sequences.lengths, samples_per_round=BATCH_SIZE, rounds_per_pool=50)
        order = arrange(order, generator)
    rounds = order.reshape(-1, BATCH_SIZE)
    # By length, so that the few that are measured stand for all.
    rounds = rounds[np.argsort([np.minimum(sequences.lengths[r], MAX_LENGTH).max() for r in rounds], kind="stable")]
    chosen = rounds[(np.arange(NUM_BATCHES) * 2 + 1) * len(rounds) // (2 * NUM_BATCHES)]
    return [padded([shortened(sequences[index], to=MAX_LENGTH, head=128) for index in r]) for r in chosen]


def _network() -> Transformer:
    torch.manual_seed(0)
    return Transformer(
        vocabulary_size=VOCABULARY,
        max_length=MAX_LENGTH,
        num_layers=2,
        dim=64,
        num_heads=4,
        hidden_features=256,
        dropout=0.0,
        attention_dropout=0.0,
        activation="relu",
        norm_first=True,
        positions="sinusoidal",
        embedding_std=0.02,
        embedding_factor=1.0,
        summary="mean",
    )


def _seconds_per_token(network: Transformer, some: list[Tensor]) -> float:
    """Of a word, padding not counted, forward and backward."""
    started = time.perf_counter()
    for token in some:
        network(token).summary.sum().backward()
        network.zero_grad()
    return (time.perf_counter() - started) / sum(int((token != PADDING).sum()) for token in some)


def _seconds_of_attention(mix: Callable[[Tensor, Tensor], Tensor], features: Tensor, is_padding: Tensor) -> float:
    started = time.perf_counter()
    mix(features, is_padding).sum().backward()  # type: ignore[no-untyped-call]  # torch's own
    return time.perf_counter() - started


def literal(attention: MultiHeadAttention, features: Tensor, is_padding: Tensor) -> Tensor:
    """The same attention, its weights formed as a whole."""
    heads = attention.value(features).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
    mixed = attention.weights(features, is_padding) @ heads
    merged: Tensor = attention.output(mixed.transpose(1, 2).flatten(start_dim=2))
    return merged


def measure() -> dict[str, list[Figure]]:
    """Seconds on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sequences = reviews(count=3200)
    network = _network()
    figures = {
        "Transformer training, seconds per word of reviews, batch 32": compare(
            {
                name: partial(_seconds_per_token, network, batches(sequences, bucketed=bucketed))
                for name, bucketed in {"random batches": False, "length buckets": True}.items()
            },
            rounds=ROUNDS,
        )
    }
    torch.manual_seed(0)
    attention = MultiHeadAttention(dim=64, num_heads=4, dropout=0.0)
    for length, with_padding in itertools.product((128, 512), (False, True)):
        features = torch.randn(8, length, 64, requires_grad=True)
        lengths = torch.linspace(length / 2 if with_padding else length, length, 8)
        is_padding = torch.arange(length) >= lengths[:, None]
        what = "with padding" if with_padding else "all of one length"
        figures[f"attention, forward and backward, 8 texts of {length} tokens, {what}"] = compare(
            {
                "written out": partial(_seconds_of_attention, partial(literal, attention), features, is_padding),
                "fused": partial(_seconds_of_attention, attention, features, is_padding),
            },
            rounds=ROUNDS,
        )
    torch.set_num_threads(threads)
    return figures


if __name__ == "__main__":
    for title, variants in measure().items():
        for figure in variants:
            print(f"{title} | {figure['variant']} | {figure['median_s'] * 1e6:.2f} us | {1 / figure['ratio']:.2f} x")
