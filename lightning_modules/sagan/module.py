"""SAGAN as an image generator; `ImageGenerator` has what it shares with DCGAN."""

from typing import Any

import torch
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler

from lightning_modules.adversarial.image_generator import ImageGenerator
from lightning_modules.adversarial.pair import GeneratorAndDiscriminator
from lightning_modules.sagan.network import Discriminator, Generator
from lightning_modules.sagan.pictures import draw_attention

# Images whose attention is shown.
_NUM_SHOWN = 6


class SAGAN(ImageGenerator):
    """Images whose places look at each other (https://arxiv.org/abs/1805.08318).

    Args:
        num_classes: of the data, see `conditional`.
        in_channels, image_size: of the images.
        latent_dim, width, attention_side: see `Generator`.
        conditional, game, average_decay, judge, classes: see `ImageGenerator`.
        discriminator_rate_factor: the discriminator's learning rate over the optimiser's; the paper's 4.
        optimizer, scheduler: see `build_optimization`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        latent_dim: int,
        width: int,
        attention_side: int,
        conditional: bool,
        game: dict[str, Any],
        discriminator_rate_factor: float,
        average_decay: float,
        judge: dict[str, Any] | None,
        classes: list[int] | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        images: dict[str, Any] = {
            "num_classes": num_classes if conditional else None,
            "in_channels": in_channels,
            "image_size": image_size,
            "width": width,
            "attention_side": attention_side,
        }
        super().__init__(
            network=GeneratorAndDiscriminator(
                generator=Generator(latent_dim=latent_dim, **images), discriminator=Discriminator(**images)
            ),
            latent_dim=latent_dim,
            num_classes=num_classes,
            conditional=conditional,
            game=game,
            average_decay=average_decay,
            judge=judge,
            classes=classes,
        )
        self.save_hyperparameters()
        self.discriminator_rate_factor = discriminator_rate_factor
        self.optimizer = optimizer
        self.scheduler = scheduler

    def draw_samples(self, *, count: int) -> list[Image.Image]:
        """The grid of samples, and where places of some of them look."""
        generator = self.average.module
        assert isinstance(generator, Generator)
        latent = self._latent(_NUM_SHOWN, seed=0)
        label = torch.arange(_NUM_SHOWN, device=self.device) % self.num_classes
        attention = draw_attention(generator(latent, label), generator.attention_weights(latent, label))
        return [*super().draw_samples(count=count), attention]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built: OptimizerLRScheduler = self._optimisers(
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            discriminator_rate_factor=self.discriminator_rate_factor,
        )
        return built
