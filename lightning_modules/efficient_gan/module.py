"""Efficient GAN: an encoder learns what AnoGAN searches, so that a score is one pass through three networks."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from datamodules.batches import AnomalyBatch
from lightning_modules.adversarial.anomaly_detector import AnomalyDetector
from lightning_modules.adversarial.averaging import averaged_copy
from lightning_modules.adversarial.game import LOSSES
from lightning_modules.adversarial.optimisers import build_optimisers
from lightning_modules.adversarial.turns import Turn
from lightning_modules.adversarial.verdict import Measure, Scoring, Verdict, check_blur, compare
from lightning_modules.efficient_gan.network import BiGAN, Encoder, Generator, PairDiscriminator


class EfficientGAN(AnomalyDetector):
    """Anomalies by a BiGAN (Zenati et al., https://arxiv.org/abs/1802.06222).

    Args:
        num_classes: of the data.
        in_channels, image_size, latent_dim, width, generator_hidden, discriminator_hidden, normalisation, dropout: see
            `Generator`, `Encoder` and `PairDiscriminator`.
        loss: see `LOSSES`; without a bound on the discriminator's slope, `wasserstein` makes no sense here.
        latent_cycle_weight: of the squared error with which the encoder finds a generated image's latent vector again,
            in the generator's and encoder's loss; 0 is the paper's.
        image_cycle_weight: of the absolute error of a training image's reconstruction, the same; 0 is the paper's.
        measure, blur, discrimination_weight: of the score, see `Scoring`.
        discriminator_rate_factor: the discriminator's learning rate over the optimiser's.
        average_decay: see `averaged_copy`; scores are those of all three averaged networks.
        optimizer, scheduler: see `build_optimization`.
    """

    network: BiGAN

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int,
        latent_dim: int,
        width: int,
        generator_hidden: int,
        discriminator_hidden: int,
        normalisation: Literal["batch", "spectral"],
        dropout: float,
        loss: Literal["non_saturating", "hinge"],
        latent_cycle_weight: float,
        image_cycle_weight: float,
        measure: Measure,
        blur: int,
        discrimination_weight: float,
        discriminator_rate_factor: float,
        average_decay: float,
        optimizer: dict[str, Any],
        scheduler: dict[str, Any] | None,
    ) -> None:
        super().__init__(players=("discriminator", "generator_and_encoder"), num_classes=num_classes)
        self.save_hyperparameters()
        self.latent_dim = latent_dim
        self.game = LOSSES[loss]
        self.latent_cycle_weight = latent_cycle_weight
        self.image_cycle_weight = image_cycle_weight
        check_blur(blur)
        self.scoring = Scoring(measure, blur, discrimination_weight)
        self.discriminator_rate_factor = discriminator_rate_factor
        self.optimizer = optimizer
        self.scheduler = scheduler
        images: dict[str, Any] = {"latent_dim": latent_dim, "in_channels": in_channels, "image_size": image_size}
        self.network = BiGAN(
            generator=Generator(**images, width=width, hidden=generator_hidden),
            encoder=Encoder(**images, width=width),
            discriminator=PairDiscriminator(
                **images, width=width, hidden=discriminator_hidden, normalisation=normalisation, dropout=dropout
            ),
        )
        self.average = averaged_copy(self.network, decay=average_decay)

    def forward(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """What the networks make of an image."""
        reconstruction: Tensor = self.network(image)
        return reconstruction

    def turns(self) -> tuple[Turn[AnomalyBatch], ...]:
        network = self.network
        return (
            Turn((network.discriminator,), self._discriminator_loss),
            Turn((network.generator, network.encoder), self._generator_and_encoder_loss),
        )

    def _discriminator_loss(self, batch: AnomalyBatch) -> Tensor:
        network, image = self.network, batch.image
        latent = self.latent(len(image), dim=self.latent_dim)
        with torch.no_grad():
            generated, encoded = network.generator(latent), network.encoder(image)
        of_encoder, of_generator = network.discriminator(image, encoded), network.discriminator(generated, latent)
        return self.game.discriminator(of_encoder, of_generator)

    def _generator_and_encoder_loss(self, batch: AnomalyBatch) -> Tensor:
        """Each wants its pairs to be taken for the other's (equation 1); then the cycles, see the class."""
        network, image = self.network, batch.image
        latent = self.latent(len(image), dim=self.latent_dim)
        generated, encoded = network.generator(latent), network.encoder(image)
        loss = self.game.generator(network.discriminator(generated, latent))
        loss = loss + self.game.generator(-network.discriminator(image, encoded))
        if self.latent_cycle_weight > 0:
            error = (network.encoder(generated) - latent).square().sum(dim=1).mean()
            loss = loss + self.latent_cycle_weight * error / self.latent_dim
        if self.image_cycle_weight > 0:
            loss = loss + self.image_cycle_weight * F.l1_loss(network.generator(encoded), image)
        return loss

    def after_step_(self) -> None:
        self.average.update_parameters(self.network)

    def judge(self, image: Float[Tensor, "B C H W"]) -> Verdict:
        networks = self.average.module
        assert isinstance(networks, BiGAN)
        latent = networks.encoder(image)
        reconstruction = networks.generator(latent)
        return compare(
            image,
            reconstruction,
            networks.discriminator.features(image, latent),
            networks.discriminator.features(reconstruction, latent),
            self.scoring,
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        network = self.network
        built: OptimizerLRScheduler = build_optimisers(
            self,
            {
                "discriminator": [network.discriminator],
                "generator_and_encoder": [network.generator, network.encoder],
            },
            rate_factors={"discriminator": self.discriminator_rate_factor},
            optimizer=self.optimizer,
            scheduler=self.scheduler,
        )
        return built
