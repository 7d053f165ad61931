"""Names of BERT's tensors in published files and here."""

import re

from lightning_modules.pretrained import Weights

# In the files of Google and of Hugging Face, and here; the older of them call a norm's weight and bias gamma and beta.
_NAMES = {
    "embeddings.word_embeddings": "token_embedding",
    "embeddings.position_embeddings": "position_embedding",
    "embeddings.token_type_embeddings": "segment_embedding",
    "embeddings.LayerNorm": "embedding_norm",
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "hidden",
    "output.dense": "output",
    "output.LayerNorm": "output_norm",
    "pooler.dense": "pooler",
}
_LAYER = re.compile(r"encoder\.layer\.(?P<number>\d+)\.(?P<part>.+)$")
_OLD_ENDINGS = {"gamma": "weight", "beta": "bias"}


def renamed(weights: Weights) -> Weights:
    """A published file's tensors under our names; those of ours, and what is not the network's, as they are."""
    return weights._replace(state={_our_name(name): tensor for name, tensor in weights.state.items()})


def _our_name(name: str) -> str:
    module, _, ending = name.removeprefix("bert.").rpartition(".")
    layer = _LAYER.match(module)
    part = layer["part"] if layer is not None else module
    if part not in _NAMES:
        return name
    prefix = f"layers.{layer['number']}." if layer is not None else ""
    return f"{prefix}{_NAMES[part]}.{_OLD_ENDINGS.get(ending, ending)}"


def with_repeated_positions(weights: Weights, *, num_positions: int) -> Weights:
    """Positions of a network for shorter texts, over and over up to this number.

    What lies next to each other is so from the start (Longformer, https://arxiv.org/abs/2004.05150, section 5).
    """
    name = "position_embedding.weight"
    known = weights.state.get(name)
    if known is None or len(known) >= num_positions:
        return weights
    repeated = known.repeat(-(-num_positions // len(known)), 1)[:num_positions]
    return weights._replace(
        source=f"{weights.source}, {len(known)} positions repeated", state={**weights.state, name: repeated}
    )
