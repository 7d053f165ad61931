"""BiGAN: generator, encoder, and a discriminator of pairs of image and latent vector (arXiv:1802.06222)."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

# Halves a side, or doubles it.
_KERNEL: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}
# Two halvings.
_REDUCTION = 4


class Generator(nn.Module):
    """Latent vectors to images between -1 and 1 (appendix B of the paper, and its authors' code).

    Args:
        width: channels of half the image's side; the paper's 64.
        hidden: width of the fully connected layer; the paper's 1024.
    """

    def __init__(self, *, latent_dim: int, in_channels: int, image_size: int, width: int, hidden: int) -> None:
        super().__init__()
        side = smallest_side(image_size)
        self.project = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 2 * width * side**2),
            nn.BatchNorm1d(2 * width * side**2),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (2 * width, side, side)),
        )
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, **_KERNEL),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, in_channels, **_KERNEL),
            nn.Tanh(),
        )

    def forward(self, latent: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        image: Tensor = self.enlarge(self.project(latent))
        return image


class Encoder(nn.Module):
    """Images to latent vectors; `width` as in the generator."""

    def __init__(self, *, latent_dim: int, in_channels: int, image_size: int, width: int) -> None:
        super().__init__()
        side = smallest_side(image_size)
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width // 2, kernel_size=3, padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(width // 2, width, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * side**2, latent_dim),
        )

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Z"]:
        latent: Tensor = self.layers(image)
        return latent


class PairDiscriminator(nn.Module):
    """Whether an image and a latent vector come from the encoder (high) or from the generator.

    Args:
        width: channels of both maps; the paper's 64.
        hidden: width of the layer in which the two meet, the features of the score; half of it for the latent vector.
        normalisation: `batch` as in the paper, or `spectral` of every layer.
        dropout: the authors' code has 0.5.
    """

    def __init__(
        self,
        *,
        latent_dim: int,
        in_channels: int,
        image_size: int,
        width: int,
        hidden: int,
        normalisation: Literal["batch", "spectral"],
        dropout: float,
    ) -> None:
        super().__init__()
        side = smallest_side(image_size)
        middle: list[nn.Module] = [nn.BatchNorm2d(width)] if normalisation == "batch" else []
        self.of_image = nn.Sequential(
            nn.Conv2d(in_channels, width, **_KERNEL),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(width, width, **_KERNEL),
            *middle,
            nn.LeakyReLU(0.1, inplace=True),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.of_latent = nn.Sequential(
            nn.Linear(latent_dim, hidden // 2), nn.LeakyReLU(0.1, inplace=True), nn.Dropout(dropout)
        )
        self.of_both = nn.Sequential(
            nn.Linear(width * side**2 + hidden // 2, hidden), nn.LeakyReLU(0.1, inplace=True), nn.Dropout(dropout)
        )
        self.logit = nn.Linear(hidden, 1)
        if normalisation == "spectral":
            for module in list(self.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)

    def features(self, image: Float[Tensor, "B C H W"], latent: Float[Tensor, "B Z"]) -> Float[Tensor, "B D"]:
        """The layer in which the two meet, whose differences are part of the score."""
        features: Tensor = self.of_both(torch.cat([self.of_image(image), self.of_latent(latent)], dim=1))
        return features

    def forward(self, image: Float[Tensor, "B C H W"], latent: Float[Tensor, "B Z"]) -> Float[Tensor, " B"]:
        logit: Tensor = self.logit(self.features(image, latent))
        return logit.flatten()


class BiGAN(nn.Module):
    """The three; training calls each by itself."""

    def __init__(self, *, generator: Generator, encoder: Encoder, discriminator: PairDiscriminator) -> None:
        super().__init__()
        self.generator = generator
        self.encoder = encoder
        self.discriminator = discriminator

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """What the generator makes of the encoder's latent vector."""
        reconstruction: Tensor = self.generator(self.encoder(image))
        return reconstruction

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """See the class."""
        for network in (self.generator, self.encoder, self.discriminator):
            network.compile(*args, **kwargs)


def smallest_side(image_size: int) -> int:
    """Of the maps.

    Raises:
        ValueError: the images cannot be halved twice.
    """
    if image_size % _REDUCTION != 0:
        raise ValueError(f"image_size={image_size} cannot be halved twice; take a multiple of {_REDUCTION}, such as 28")
    return image_size // _REDUCTION
