"""Multi-head attention (Vaswani et al., https://arxiv.org/abs/1706.03762, section 3.2)."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Every token gathers from all others, in several heads at once (section 3.2.2).

    Args:
        dropout: on the attention weights.

    Raises:
        ValueError: the heads do not share the features evenly.
    """

    def __init__(self, *, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if dim % num_heads != 0:
            raise ValueError(f"dim={dim} features cannot be shared by num_heads={num_heads}; choose a divisor of {dim}")
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Float[Tensor, "B L D"], is_padding: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        mixed = F.scaled_dot_product_attention(
            self._heads(self.query(features)),
            self._heads(self.key(features)),
            self._heads(self.value(features)),
            attn_mask=~is_padding[:, None, None, :],
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        merged: Tensor = self.output(mixed.transpose(1, 2).flatten(start_dim=2))
        return merged

    def weights(self, features: Float[Tensor, "B L D"], is_padding: Bool[Tensor, "B L"]) -> Float[Tensor, "B N L L"]:
        """How much each token (third axis) takes from each (fourth axis), written out: equation 1.

        `scaled_dot_product_attention` never forms these numbers as a whole, which is why it is fast.
        """
        query, key = self._heads(self.query(features)), self._heads(self.key(features))
        scores: Tensor = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        return scores.masked_fill(is_padding[:, None, None, :], float("-inf")).softmax(dim=3)

    def _heads(self, features: Float[Tensor, "B L D"]) -> Float[Tensor, "B N L d"]:
        heads: Tensor = features.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
        return heads
