"""DCGAN as an image generator; `ImageGenerator` has what it shares with SAGAN."""

from typing import Any

from pytorch_lightning.utilities.types import OptimizerLRScheduler

from lightning_modules.adversarial.image_generator import ImageGenerator
from lightning_modules.adversarial.pair import GeneratorAndDiscriminator
from lightning_modules.dcgan.network import Discriminator, Generator


class DCGAN(ImageGenerator):
    """Images from convolutions alone (https://arxiv.org/abs/1511.06434).

    Args:
        num_classes: of the data, see `conditional`.
        in_channels, image_size: of the images.
        latent_dim, width, batch_norm: see `Generator` and `Discriminator`.
        conditional, game, average_decay, judge, classes: see `ImageGenerator`.
        discriminator_rate_factor: the discriminator's learning rate over the optimiser's.
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
        batch_norm: bool,
        conditional: bool,
        game: dict[str, Any],
        discriminator_rate_factor: float,
        average_decay: float,
        judge: dict[str, Any] | None,
        classes: list[int] | None,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        known_classes = num_classes if conditional else None
        images: dict[str, Any] = {"in_channels": in_channels, "image_size": image_size, "width": width}
        super().__init__(
            network=GeneratorAndDiscriminator(
                generator=Generator(latent_dim=latent_dim, num_classes=known_classes, **images),
                discriminator=Discriminator(num_classes=known_classes, batch_norm=batch_norm, **images),
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

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built: OptimizerLRScheduler = self._optimisers(
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            discriminator_rate_factor=self.discriminator_rate_factor,
        )
        return built
