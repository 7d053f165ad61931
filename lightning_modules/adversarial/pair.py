"""A generator and the discriminator that it plays against, as one network."""

from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor, nn


class GeneratorAndDiscriminator(nn.Module):
    """Its `generator` takes latent vectors (and labels), its `discriminator` images (and labels)."""

    def __init__(self, *, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator

    def forward(self, image: Float[Tensor, "B C H W"], label: Int64[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        """How real an image looks: a logit."""
        logit: Tensor = self.discriminator(image, label)
        return logit

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Training calls the two networks, not this one."""
        self.generator.compile(*args, **kwargs)
        self.discriminator.compile(*args, **kwargs)
