"""AnoGAN: a DCGAN of normal images, and a search in its latent space for the one nearest to a given image."""

from typing import Any

from jaxtyping import Float
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from datamodules.batches import AnomalyBatch
from lightning_modules.adversarial.anomaly_detector import AnomalyDetector
from lightning_modules.adversarial.averaging import averaged_copy
from lightning_modules.adversarial.game import Game
from lightning_modules.adversarial.optimisers import build_optimisers
from lightning_modules.adversarial.pair import GeneratorAndDiscriminator
from lightning_modules.adversarial.turns import Turn
from lightning_modules.adversarial.verdict import Verdict, check_blur
from lightning_modules.anogan.search import Search, search
from lightning_modules.components import arguments_of
from lightning_modules.dcgan.network import Discriminator, Generator


class AnoGAN(AnomalyDetector):
    """Anomalies by search (Schlegl et al., https://arxiv.org/abs/1703.05921).

    Args:
        num_classes: of the data.
        in_channels, image_size, latent_dim, width, batch_norm: see DCGAN's `Generator` and `Discriminator`.
        game: the arguments of `Game`.
        search: those of `Search`.
        discriminator_rate_factor: the discriminator's learning rate over the optimiser's.
        average_decay: see `averaged_copy`; the search is in the averaged generator.
        optimizer, scheduler: see `build_optimization`.
    """

    network: GeneratorAndDiscriminator

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        latent_dim: int,
        width: int,
        batch_norm: bool,
        game: dict[str, Any],
        search: dict[str, Any],
        discriminator_rate_factor: float,
        average_decay: float,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(players=("discriminator", "generator"), num_classes=num_classes)
        self.save_hyperparameters()
        self.latent_dim = latent_dim
        self.discriminator_rate_factor = discriminator_rate_factor
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.game = Game(**arguments_of(game))
        self.search = Search(**arguments_of(search))
        check_blur(self.search.blur)
        images: dict[str, Any] = {"in_channels": in_channels, "image_size": image_size, "width": width}
        self.network = GeneratorAndDiscriminator(
            generator=Generator(latent_dim=latent_dim, num_classes=None, **images),
            discriminator=Discriminator(num_classes=None, batch_norm=batch_norm, **images),
        )
        self.average = averaged_copy(self.network.generator, decay=average_decay)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """How real an image looks."""
        logit: Tensor = self.network(image)
        return logit

    def turns(self) -> tuple[Turn[AnomalyBatch], ...]:
        return (
            Turn((self.network.discriminator,), self._discriminator_loss),
            Turn((self.network.generator,), self._generator_loss),
        )

    def _discriminator_loss(self, batch: AnomalyBatch) -> Tensor:
        latent = self.latent(len(batch.image), dim=self.latent_dim)
        return self.game.discriminator_loss(self.network, batch.image, latent, step=self.global_step)

    def _generator_loss(self, batch: AnomalyBatch) -> Tensor:
        return self.game.generator_loss(self.network, self.latent(len(batch.image), dim=self.latent_dim))

    def after_step_(self) -> None:
        self.average.update_parameters(self.network.generator)

    def judge(self, image: Float[Tensor, "B C H W"]) -> Verdict:
        discriminator = self.network.discriminator
        assert isinstance(discriminator, Discriminator)
        return search(self.average, discriminator, image, latent_dim=self.latent_dim, settings=self.search)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built: OptimizerLRScheduler = build_optimisers(
            self,
            {"discriminator": [self.network.discriminator], "generator": [self.network.generator]},
            rate_factors={"discriminator": self.discriminator_rate_factor},
            optimizer=self.optimizer,
            scheduler=self.scheduler,
        )
        return built
