"""What generator and discriminator play for: losses, penalties on the discriminator's slope, augmentation of both."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.adversarial.augmentation import AUGMENTATIONS
from lightning_modules.adversarial.pair import GeneratorAndDiscriminator

Logit = Float[Tensor, " B"]
Discriminate = Callable[[Float[Tensor, "B C H W"]], Logit]


class Losses(NamedTuple):
    """The loss of the discriminator, given logits of real and generated images, and that of the generator."""

    discriminator: Callable[[Logit, Logit], Tensor]
    generator: Callable[[Logit], Tensor]


LOSSES = {
    # Goodfellow et al., https://arxiv.org/abs/1406.2661, section 3.
    "non_saturating": Losses(
        lambda real, generated: F.softplus(-real).mean() + F.softplus(generated).mean(),
        lambda generated: F.softplus(-generated).mean(),
    ),
    # Lim and Ye, https://arxiv.org/abs/1705.02894; SAGAN's equation 4.
    "hinge": Losses(
        lambda real, generated: F.relu(1 - real).mean() + F.relu(1 + generated).mean(),
        lambda generated: -generated.mean(),
    ),
    # Arjovsky et al., https://arxiv.org/abs/1701.07875; with a penalty on the slope.
    "wasserstein": Losses(
        lambda real, generated: generated.mean() - real.mean(),
        lambda generated: -generated.mean(),
    ),
}


class Game:
    """The rules.

    Args:
        loss: see `LOSSES`.
        penalty: `r1` on real images (https://arxiv.org/abs/1801.04406, equation 9), or `slope_of_one` between real and
            generated ones (https://arxiv.org/abs/1704.00028, equation 3).
        penalty_weight: gamma of the first, lambda of the second.
        penalty_every: in which steps; the weight is multiplied by it (https://arxiv.org/abs/1912.04958, appendix B).
        augmentations: of what the discriminator sees, real or generated (https://arxiv.org/abs/2006.10738): `color`,
            `translation`, `cutout`.

    Raises:
        ValueError: there is no such loss or augmentation, or a penalty that never is.
    """

    def __init__(
        self,
        *,
        loss: Literal["non_saturating", "hinge", "wasserstein"],
        penalty: Literal["r1", "slope_of_one"] | None,
        penalty_weight: float,
        penalty_every: int,
        augmentations: list[str],
    ) -> None:
        if unknown := sorted(set(augmentations) - set(AUGMENTATIONS)):
            raise ValueError(f"augmentations: there is no {unknown[0]}; choose of {', '.join(AUGMENTATIONS)}")
        if penalty_every < 1:
            raise ValueError(f"penalty_every={penalty_every} counts steps; take 1 or more, or penalty=null for none")
        self.losses = LOSSES[loss]
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.penalty_every = penalty_every
        self.augmentations = [AUGMENTATIONS[name] for name in augmentations]

    def shown(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """What the discriminator sees of an image."""
        for augmentation in self.augmentations:
            image = augmentation(image)
        return image

    def discriminator_loss(
        self,
        networks: GeneratorAndDiscriminator,
        image: Float[Tensor, "B C H W"],
        latent: Float[Tensor, "B Z"],
        label: Int64[Tensor, " B"] | None = None,
        *,
        step: int,
    ) -> Float[Tensor, ""]:
        """Of telling images from as many generated ones; in training with the penalty of that step."""
        with torch.no_grad():
            generated = networks.generator(latent, label)
        real, fake = (networks(self.shown(shown), label) for shown in (image, generated))
        loss = self.losses.discriminator(real, fake)
        if not networks.training:
            return loss
        return loss + self.penalty_of(lambda shown: networks(shown, label), image, generated, step=step)

    def generator_loss(
        self,
        networks: GeneratorAndDiscriminator,
        latent: Float[Tensor, "B Z"],
        label: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, ""]:
        """Of passing generated images off as real."""
        return self.losses.generator(networks(self.shown(networks.generator(latent, label)), label))

    def penalty_of(
        self,
        discriminate: Discriminate,
        real: Float[Tensor, "B C H W"],
        generated: Float[Tensor, "B C H W"],
        *,
        step: int,
    ) -> Float[Tensor, ""]:
        """The penalty at a step of the run; 0 in most where it is seldom."""
        if self.penalty is None or step % self.penalty_every != 0:
            return real.new_zeros(())
        weight = self.penalty_weight * self.penalty_every
        if self.penalty == "r1":
            return weight / 2 * squared_slope(discriminate, real).mean()
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = share * real + (1 - share) * generated
        # The root has no slope at 0.
        slope = (squared_slope(discriminate, between) + 1e-12).sqrt()
        return weight * ((slope - 1) ** 2).mean()


def squared_slope(discriminate: Discriminate, image: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """The squared norm of the logit's gradient in each image, itself differentiable."""
    image = image.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminate(image).sum(), image, create_graph=True)
    return slope.float().square().sum(dim=(1, 2, 3))
