"""BERT's encoder (Devlin et al., https://arxiv.org/abs/1810.04805, section 3) and its heads for pre-training."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.batches import PADDING
from lightning_modules.transformer.network import EncodedText, EncoderLayer

# Of the authors' code; the paper does not say it.
_NORM_EPS = 1e-12
_NUM_SEGMENTS = 2


class BERT(nn.Module):
    """The Transformer's encoder over tokens, learned positions and two segments.

    Args:
        vocabulary_size: different tokens.
        num_positions: the longest sequence that it takes.
        num_layers, dim, num_heads, hidden_features: L, H, A and 4 H in the paper; base has 12, 768, 12 and 3072.
        dropout: on embeddings and beside every shortcut.
        attention_dropout: on the attention weights.
        initial_std: of the random weights; 0.02 in the authors' code, whose layers have 768 features. What attention
            adds to a token shrinks with its square and with `dim`: a narrow network needs more.
        norm_first: see `EncoderLayer`; the paper normalises after each sum.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        num_positions: int,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        initial_std: float,
        norm_first: bool,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary_size, dim)
        self.position_embedding = nn.Embedding(num_positions, dim)
        self.segment_embedding = nn.Embedding(_NUM_SEGMENTS, dim)
        self.embedding_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(
                dim=dim,
                num_heads=num_heads,
                hidden_features=hidden_features,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation="gelu",
                norm_first=norm_first,
                norm_eps=_NORM_EPS,
            )
            for _ in range(num_layers)
        )
        # After the last sum, which with `norm_first` nothing else normalises.
        self.final_norm = nn.LayerNorm(dim, eps=_NORM_EPS) if norm_first else nn.Identity()
        self.pooler = nn.Linear(dim, dim)
        initialise_(self, std=initial_std)

    def forward(self, token: Int64[Tensor, "B L"], segment: Int64[Tensor, "B L"] | None = None) -> EncodedText:
        """The summary is what the first token, [CLS], has become, after one more layer."""
        is_padding = token == PADDING
        features = self._embedded(token, segment)
        for layer in self.layers:
            features = layer(features, is_padding)
        features = self.final_norm(features)
        return EncodedText(features, self.pooler(features[:, 0]).tanh())

    def attention(self, token: Int64[Tensor, "B L"]) -> Float[Tensor, "B M N L"]:
        """What the first token looks at, by layer (M) and head."""
        is_padding = token == PADDING
        features = self._embedded(token, None)
        looked_at = []
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer)
            looked_at.append(layer.attention_weights(features, is_padding)[:, :, 0])
            features = layer(features, is_padding)
        return torch.stack(looked_at, dim=1)

    def _embedded(self, token: Int64[Tensor, "B L"], segment: Int64[Tensor, "B L"] | None) -> Float[Tensor, "B L D"]:
        length, num_positions = token.shape[1], self.position_embedding.num_embeddings
        if length > num_positions:
            raise ValueError(
                f"a text of {length} tokens, but positions are learned for {num_positions}; lower data.max_length"
            )
        segment = torch.zeros_like(token) if segment is None else segment
        place = torch.arange(length, device=token.device)
        embedded = self.token_embedding(token) + self.position_embedding(place) + self.segment_embedding(segment)
        normed: Tensor = self.dropout(self.embedding_norm(embedded))
        return normed


class PretrainingScores(NamedTuple):
    """For some places which token stands there, and for each text whether its second passage follows the first."""

    token: Float[Tensor, "places V"]
    is_next: Float[Tensor, " B"]


class PretrainingHeads(nn.Module):
    """The two tasks of pre-training (section 3.1): hidden tokens, and whether a passage follows another.

    Args:
        token_embedding: of the network, whose weights are those of the last layer too.
        initial_std: of the random weights.
    """

    def __init__(self, token_embedding: nn.Embedding, *, initial_std: float) -> None:
        super().__init__()
        dim = token_embedding.embedding_dim
        self.transform = nn.Linear(dim, dim)
        self.transform_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.token_bias = nn.Parameter(torch.zeros(token_embedding.num_embeddings))
        self.next_sentence = nn.Linear(dim, 1)
        initialise_(self, std=initial_std)

    def forward(
        self,
        encoded: EncodedText,
        token_weight: Float[Tensor, "V D"],
        is_asked: Bool[Tensor, "B L"],
    ) -> PretrainingScores:
        """Scores at the places that are asked for, text by text: a seventh of all places, and each costs V products."""
        features = self.transform_norm(F.gelu(self.transform(encoded.features[is_asked])))
        tokens = F.linear(features, token_weight, self.token_bias)
        return PretrainingScores(tokens, self.next_sentence(encoded.summary).squeeze(1))


def initialise_(network: nn.Module, *, std: float) -> None:
    """Normal weights cut off at two standard deviations, after the authors' code; no biases."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
