"""The Transformer's encoder (Vaswani et al., https://arxiv.org/abs/1706.03762) with a summary of the whole text."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from datamodules.batches import PADDING
from lightning_modules.transformer.attention import MultiHeadAttention

Activation = Literal["relu", "gelu"]
Positions = Literal["sinusoidal", "learned"]
Summary = Literal["mean", "first"]
_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}
# Of the longest wavelength, section 3.5.
_LONGEST_PERIOD = 10_000.0


class EncodedText(NamedTuple):
    """Features of every token, and of the text as a whole."""

    features: Float[Tensor, "B L D"]
    summary: Float[Tensor, "B D"]


class EncoderLayer(nn.Module):
    """Attention, then two linear layers, each beside a shortcut (section 3.1).

    Args:
        hidden_features: between the two linear layers.
        dropout: on what comes beside a shortcut.
        attention_dropout: on the attention weights.
        norm_first: normalise what goes into each part (https://arxiv.org/abs/2002.04745) instead of the sum after it.
        norm_eps: of the layer normalisation.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        activation: Activation,
        norm_first: bool,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(dim=dim, num_heads=num_heads, dropout=attention_dropout)
        self.attention_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.hidden = nn.Linear(dim, hidden_features)
        self.activation = _ACTIVATIONS[activation]()
        self.output = nn.Linear(hidden_features, dim)
        self.output_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Float[Tensor, "B L D"], is_padding: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        if self.norm_first:
            features = features + self.dropout(self.attention(self.attention_norm(features), is_padding))
            added: Tensor = features + self.dropout(self._feed_forward(self.output_norm(features)))
            return added
        features = self.attention_norm(features + self.dropout(self.attention(features, is_padding)))
        normed: Tensor = self.output_norm(features + self.dropout(self._feed_forward(features)))
        return normed

    def attention_weights(
        self, features: Float[Tensor, "B L D"], is_padding: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B N L L"]:
        """What this layer's heads look at, given the features that enter it."""
        seen = self.attention_norm(features) if self.norm_first else features
        return self.attention.weights(seen, is_padding)

    def _feed_forward(self, features: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        transformed: Tensor = self.output(self.activation(self.hidden(features)))
        return transformed


def sinusoids(positions: Int64[Tensor, " L"], *, dim: int) -> Float[Tensor, "L D"]:
    """Position encodings: sines at even features, cosines at odd ones, ever longer waves (section 3.5)."""
    pair = torch.arange(0, dim, 2, device=positions.device)
    angle = positions[:, None] / _LONGEST_PERIOD ** (pair / dim)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(start_dim=1)[:, :dim]


class Transformer(nn.Module):
    """Token embeddings and positions, encoder layers, and one vector for the text.

    Args:
        vocabulary_size: different tokens.
        max_length: the longest sequence that learned positions are made for; sinusoidal ones take any.
        num_layers, dim, num_heads, hidden_features, dropout, attention_dropout, activation, norm_first: see
            `EncoderLayer`; the base model of the paper (table 3) has 6 layers, 512 features, 8 heads, 2048 hidden.
        positions: sinusoidal or learned; the paper found no difference (table 3, row E).
        embedding_std: spread of the initial embeddings; the authors' code has 1 over the root of `dim`.
        embedding_factor: what they are multiplied by, the root of `dim` in section 3.4. As much faster they learn.
        summary: the mean over all tokens, or the features of the first.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        max_length: int,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_features: int,
        dropout: float,
        attention_dropout: float,
        activation: Activation,
        norm_first: bool,
        positions: Positions,
        embedding_std: float,
        embedding_factor: float,
        summary: Summary,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.summary = summary
        self.embedding_factor = embedding_factor
        self.token_embedding = nn.Embedding(vocabulary_size, dim)
        self.position_embedding = nn.Embedding(max_length, dim) if positions == "learned" else None
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(
                dim=dim,
                num_heads=num_heads,
                hidden_features=hidden_features,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation=activation,
                norm_first=norm_first,
            )
            for _ in range(num_layers)
        )
        # After the last sum, which with `norm_first` nothing else normalises.
        self.final_norm = nn.LayerNorm(dim) if norm_first else nn.Identity()
        self._initialise(embedding_std=embedding_std)

    def _initialise(self, *, embedding_std: float) -> None:
        """Linear layers after Glorot and Bengio (https://proceedings.mlr.press/v9/glorot10a.html, equation 16)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=embedding_std)

    def forward(self, token: Int64[Tensor, "B L"]) -> EncodedText:
        is_padding = token == PADDING
        features = self._embedded(token)
        for layer in self.layers:
            features = layer(features, is_padding)
        features = self.final_norm(features)
        return EncodedText(features, self._summarised(features, is_padding))

    def attention(self, token: Int64[Tensor, "B L"]) -> Float[Tensor, "B M N L"]:
        """What the text's summary looks at, by layer (M) and head: the first token, or all tokens on average."""
        is_padding = token == PADDING
        features = self._embedded(token)
        looked_at = []
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer)
            weights = layer.attention_weights(features, is_padding)
            looked_at.append(weights[:, :, 0] if self.summary == "first" else _mean_over(weights, is_padding))
            features = layer(features, is_padding)
        return torch.stack(looked_at, dim=1)

    def _embedded(self, token: Int64[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        length = token.shape[1]
        place = torch.arange(length, device=token.device)
        embedded: Tensor = self.token_embedding(token) * self.embedding_factor
        if self.position_embedding is None:
            token_dim = self.token_embedding.embedding_dim
            embedded = embedded + sinusoids(place, dim=token_dim).to(embedded.dtype)
        elif length > self.max_length:
            raise ValueError(
                f"a text of {length} tokens, but positions were learned for {self.max_length}; lower data.max_length"
            )
        else:
            embedded = embedded + self.position_embedding(place) * self.embedding_factor
        embedded = self.dropout(embedded)
        return embedded

    def _summarised(self, features: Float[Tensor, "B L D"], is_padding: Bool[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        if self.summary == "first":
            return features[:, 0]
        is_text = (~is_padding)[..., None].to(features.dtype)
        return (features * is_text).sum(dim=1) / is_text.sum(dim=1)


def _mean_over(weights: Float[Tensor, "B N L L2"], is_padding: Bool[Tensor, "B L"]) -> Float[Tensor, "B N L2"]:
    is_text = (~is_padding)[:, None, :, None].to(weights.dtype)
    return (weights * is_text).sum(dim=2) / is_text.sum(dim=2)
