"""SAGAN: DCGAN's ladder of maps with spectral normalisation in both networks, and self-attention at one of the maps."""

from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_modules.dcgan.network import agreement, ladder, with_label
from lightning_modules.sagan.attention import SelfAttention

# Halves a side, or doubles it.
_KERNEL: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}


class Generator(nn.Module):
    """Latent vectors to images between -1 and 1 (https://arxiv.org/abs/1805.08318, section 4).

    Args:
        num_classes: see DCGAN's.
        image_size, width: see DCGAN's `ladder`.
        attention_side: of the map with attention; the paper's 32.
    """

    def __init__(
        self,
        *,
        latent_dim: int,
        num_classes: int | None,
        in_channels: int,
        image_size: int,
        width: int,
        attention_side: int,
    ) -> None:
        super().__init__()
        self.label = nn.Embedding(num_classes, latent_dim) if num_classes is not None else None
        side, channels = ladder(image_size=image_size, width=width)
        given = latent_dim * (1 if num_classes is None else 2)
        layers: list[nn.Module] = [spectral_norm(nn.ConvTranspose2d(given, channels[0], side, bias=False))]
        for index, count in enumerate(channels):
            layers += [nn.BatchNorm2d(count), nn.ReLU(inplace=True)]
            if side * 2**index == attention_side:
                self.before, layers = nn.Sequential(*layers), []
                self.attention = SelfAttention(count)
            is_last = index + 1 == len(channels)
            out_channels = in_channels if is_last else channels[index + 1]
            layers.append(spectral_norm(nn.ConvTranspose2d(count, out_channels, bias=is_last, **_KERNEL)))
        _refuse_without_attention(self, attention_side, [side * 2**index for index in range(len(channels))])
        self.after = nn.Sequential(*layers, nn.Tanh())

    def forward(
        self, latent: Float[Tensor, "B Z"], label: Int64[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B C H W"]:
        features = self.before(with_label(latent, label, self.label)[:, :, None, None])
        image: Tensor = self.after(self.attention(features))
        return image

    def attention_weights(
        self, latent: Float[Tensor, "B Z"], label: Int64[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B N N"]:
        """Where each place of the map looked."""
        weights: Tensor = self.attention.weights(self.before(with_label(latent, label, self.label)[:, :, None, None]))
        return weights


class Discriminator(nn.Module):
    """How real images look; arguments as in `Generator`."""

    def __init__(
        self, *, num_classes: int | None, in_channels: int, image_size: int, width: int, attention_side: int
    ) -> None:
        super().__init__()
        side, channels = ladder(image_size=image_size, width=width)
        layers: list[nn.Module] = []
        given = in_channels
        for index, count in enumerate(reversed(channels)):
            layers += [spectral_norm(nn.Conv2d(given, count, **_KERNEL)), nn.LeakyReLU(0.1, inplace=True)]
            given = count
            if image_size // 2 ** (index + 1) == attention_side:
                self.before, layers = nn.Sequential(*layers), []
                self.attention = SelfAttention(count)
        _refuse_without_attention(self, attention_side, [side * 2**index for index in range(len(channels))])
        self.after = nn.Sequential(*layers)
        self.logit = spectral_norm(nn.Conv2d(given, 1, kernel_size=side))
        self.label = nn.Embedding(num_classes, given) if num_classes is not None else None
        if self.label is not None:
            spectral_norm(self.label)

    def forward(self, image: Float[Tensor, "B C H W"], label: Int64[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        features = self.after(self.attention(self.before(image)))
        logit: Tensor = self.logit(features).flatten() + agreement(features, label, self.label)
        return logit


def _refuse_without_attention(network: nn.Module, attention_side: int, sides: list[int]) -> None:
    if not hasattr(network, "attention"):
        raise ValueError(
            f"model.attention_side={attention_side} is no map's; choose one of {', '.join(map(str, sides))}"
        )
