"""DCGAN: a generator of transposed convolutions against a discriminator of strided ones (arXiv:1511.06434)."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

# Halves a side, or doubles it.
_KERNEL: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
_SMALLEST_MAP = 4


class Ladder(NamedTuple):
    """The maps between a latent vector and an image: side of the smallest, and channels from there to the largest."""

    smallest_side: int
    channels: list[int]


def ladder(*, image_size: int, width: int) -> Ladder:
    """Halve the side while it is even and above 4; `width` channels at half the image's side, twice at each below.

    64 pixels and width 64 are figure 1 of the paper at half its width, which its authors' code has: maps of 4, 8, 16
    and 32 pixels. 28 pixels have maps of 7 and 14.

    Raises:
        ValueError: the side cannot be halved down to a small map.
    """
    side, num_doublings = image_size, 0
    while side % 2 == 0 and side > _SMALLEST_MAP:
        side, num_doublings = side // 2, num_doublings + 1
    if num_doublings == 0 or side > 2 * _SMALLEST_MAP:
        raise ValueError(
            f"image_size={image_size} leaves a map of {side} pixels after {num_doublings} halvings; take 4 to 7 times a"
            " power of two, such as 16, 28, 32 or 64"
        )
    return Ladder(side, [width * 2**stage for stage in reversed(range(num_doublings))])


class Generator(nn.Module):
    """Latent vectors to images between -1 and 1.

    Args:
        num_classes: with classes, a learned vector of the class is appended to the latent one (arXiv:1411.1784).
        image_size, width: see `ladder`.
    """

    def __init__(
        self, *, latent_dim: int, num_classes: int | None, in_channels: int, image_size: int, width: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.label = nn.Embedding(num_classes, latent_dim) if num_classes is not None else None
        side, channels = ladder(image_size=image_size, width=width)
        given = latent_dim * (1 if num_classes is None else 2)
        layers: list[nn.Module] = [nn.ConvTranspose2d(given, channels[0], kernel_size=side, bias=False)]
        for index, count in enumerate(channels):
            is_last = index + 1 == len(channels)
            layers += [nn.BatchNorm2d(count), nn.ReLU(inplace=True)]
            out_channels = in_channels if is_last else channels[index + 1]
            layers.append(nn.ConvTranspose2d(count, out_channels, bias=False, **_KERNEL))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        initialise_(self)

    def forward(
        self, latent: Float[Tensor, "B Z"], label: Int64[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Section 3."""
        image: Tensor = self.layers(with_label(latent, label, self.label)[:, :, None, None])
        return image


class Discriminator(nn.Module):
    """How real images look: logits, and the features that they rest on.

    Args:
        num_classes: with classes, the features' product with a vector of the class is added (arXiv:1802.05637).
        batch_norm: as in the paper; R1 and a small batch ask for none.
        image_size, width: see `ladder`.
    """

    def __init__(
        self, *, num_classes: int | None, in_channels: int, image_size: int, width: int, batch_norm: bool
    ) -> None:
        super().__init__()
        side, channels = ladder(image_size=image_size, width=width)
        layers: list[nn.Module] = []
        given = in_channels
        for index, count in enumerate(reversed(channels)):
            layers.append(nn.Conv2d(given, count, bias=index == 0 and not batch_norm, **_KERNEL))
            if batch_norm and index > 0:
                layers.append(nn.BatchNorm2d(count))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            given = count
        self.layers = nn.Sequential(*layers)
        self.logit = nn.Conv2d(given, 1, kernel_size=side, bias=False)
        self.label = nn.Embedding(num_classes, given) if num_classes is not None else None
        initialise_(self)

    def features(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """The last map, which AnoGAN compares."""
        features: Tensor = self.layers(image)
        return features

    def forward(self, image: Float[Tensor, "B C H W"], label: Int64[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        features = self.features(image)
        logit: Tensor = self.logit(features).flatten() + agreement(features, label, self.label)
        return logit


def with_label(
    latent: Float[Tensor, "B Z"], label: Int64[Tensor, " B"] | None, embedding: nn.Embedding | None
) -> Float[Tensor, "B Z2"]:
    """A latent vector followed by its class's; alone where there are no classes."""
    if embedding is None:
        return latent
    assert label is not None, "a generator with classes is told which"
    return torch.cat([latent, embedding(label)], dim=1)


def agreement(
    features: Float[Tensor, "B D h w"], label: Int64[Tensor, " B"] | None, embedding: nn.Embedding | None
) -> Float[Tensor, " B"]:
    """How well the features fit the class (arXiv:1802.05637, equation 4); 0 where there are no classes."""
    if embedding is None:
        return features.new_zeros(len(features))
    assert label is not None, "a discriminator with classes is told which"
    product: Tensor = features.sum(dim=(2, 3)) * embedding(label)
    return product.sum(dim=1)


def initialise_(network: nn.Module) -> None:
    """Weights with deviation 0.02 (section 4), those of batch normalisation around 1 as in the authors' code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
