"""Self-attention over the places of a map (Zhang et al., https://arxiv.org/abs/1805.08318, section 3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

# Of the channels that places are compared by.
_REDUCTION = 8


class SelfAttention(nn.Module):
    """Adds to every place what the places that resemble it show, at first nothing: gamma is 0.

    Raises:
        ValueError: the map has too few channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < _REDUCTION:
            raise ValueError(f"attention compares {_REDUCTION}ths of {channels} channels; raise model.width")
        reduced = channels // _REDUCTION
        # f, g, h and v of the paper.
        self.query = spectral_norm(nn.Conv2d(channels, reduced, kernel_size=1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, reduced, kernel_size=1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, reduced, kernel_size=1, bias=False))
        self.output = spectral_norm(nn.Conv2d(reduced, channels, kernel_size=1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Equations 1 to 3; the paper's softmax has no scale, unlike that of transformers."""
        query, key, value = (_places(layer(features)) for layer in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        output: Tensor = self.output(attended.transpose(1, 2).reshape(len(features), -1, *features.shape[2:]))
        return features + self.gamma * output

    def weights(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N N"]:
        """How much each place (row) takes from each (column): what `forward` does not keep, for pictures."""
        query, key = _places(self.query(features)), _places(self.key(features))
        return (query @ key.transpose(1, 2)).softmax(dim=2)


def _places(features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N C"]:
    return features.flatten(start_dim=2).transpose(1, 2)
