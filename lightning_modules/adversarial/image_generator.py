"""What every GAN does with its two networks: training against each other, scores of samples, pictures."""

from abc import abstractmethod
from typing import Any, final

import torch
from jaxtyping import Float, Int64
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.batches import ImageClassificationBatch
from lightning_modules.adversarial.averaging import averaged_copy
from lightning_modules.adversarial.game import Game
from lightning_modules.adversarial.judge import judge_file, load_judge
from lightning_modules.adversarial.optimisers import build_optimisers
from lightning_modules.adversarial.pair import GeneratorAndDiscriminator
from lightning_modules.adversarial.pictures import draw_grid, spherical_interpolation
from lightning_modules.adversarial.player_losses import PlayerLosses
from lightning_modules.adversarial.sample_scores import SampleScores
from lightning_modules.adversarial.turns import Turn, clip_gradients_, is_turn, optimise_by_hand_, take_turns_
from lightning_modules.components import arguments_of
from lightning_modules.split_steps import SplitEpochs

PLAYERS = ("discriminator", "generator")
_INTERPOLATION_STEPS = 10


class ImageGenerator(SplitEpochs):
    """Two networks trained against each other; samples are those of the generator's averaged weights.

    Logs both losses of every split, and of `val` and `test` what the judge says of as many samples as there are images.

    Args:
        network: what is trained.
        latent_dim: of the generator's input.
        conditional: whether the networks are told an image's class; the discriminator sees samples of the batch's.
        game: the arguments of `Game`.
        average_decay: of the exponential mean over steps of the generator's weights.
        judge: the fields of `JudgeFile` or `InceptionFile`, and `_target_`; None scores nothing.
        classes: the judge's classes that the data set has; None is all.
    """

    def __init__(
        self,
        *,
        network: GeneratorAndDiscriminator,
        latent_dim: int,
        num_classes: int,
        conditional: bool,
        game: dict[str, Any],
        average_decay: float,
        judge: dict[str, Any] | None,
        classes: list[int] | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.conditional = conditional
        self.game = Game(**arguments_of(game))
        self.judge_file = judge_file(judge) if judge is not None else None
        self.average = averaged_copy(network.generator, decay=average_decay)
        self.losses = PlayerLosses(PLAYERS)
        self.scores = nn.ModuleDict()
        if self.judge_file is not None:
            for split in ("val", "test"):
                self.scores[split] = SampleScores(judge_name=self.judge_file.name, expected=classes)
        self.gathered: list[ImageClassificationBatch] = []

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    def setup(self, stage: str) -> None:
        """Take optimisation over, and find out early that there is no judge."""
        if stage == "fit":
            optimise_by_hand_(self)
        if self.judge_file is not None:
            load_judge(self.judge_file, self.device)

    def forward(self, image: Float[Tensor, "B C H W"], label: Int64[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        """How real an image looks."""
        logit: Tensor = self.network(image, label)
        return logit

    @final
    def discriminator_loss(self, batch: ImageClassificationBatch) -> Tensor:
        """See `Game`."""
        image, label = batch
        latent = self._latent(len(image))
        return self.game.discriminator_loss(self.network, image, latent, label, step=self.global_step)

    @final
    def generator_loss(self, batch: ImageClassificationBatch) -> Tensor:
        """See `Game`."""
        image, label = batch
        return self.game.generator_loss(self.network, self._latent(len(image)), label)

    @final
    def _step(self, batch: ImageClassificationBatch, split: str) -> dict[str, Tensor]:
        losses = {"discriminator": self.discriminator_loss(batch), "generator": self.generator_loss(batch)}
        self.losses.update(split, losses, num_samples=len(batch.image))
        return losses

    @final
    def training_step(self, batch: ImageClassificationBatch, batch_idx: int) -> dict[str, Tensor] | None:
        self.gathered.append(batch)
        if not is_turn(self, batch_idx):
            return None
        batches, self.gathered = self.gathered, []
        turns = (
            Turn((self.network.discriminator,), self.discriminator_loss),
            Turn((self.network.generator,), self.generator_loss),
        )
        losses = dict(zip(PLAYERS, take_turns_(self, batches, turns), strict=True))
        self.average.update_parameters(self.network.generator)
        self.losses.update("train", losses, num_samples=sum(len(gathered.image) for gathered in batches))
        self.losses.log_step(self, losses)
        return losses

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        clip_gradients_(self, optimizer)

    @final
    def validation_step(self, batch: ImageClassificationBatch, batch_idx: int) -> None:
        self._step(batch, "val")
        self._judge(batch, "val", batch_idx)

    @final
    def test_step(self, batch: ImageClassificationBatch, batch_idx: int) -> None:
        self._step(batch, "test")
        self._judge(batch, "test", batch_idx)

    def _judge(self, batch: ImageClassificationBatch, split: str, batch_idx: int) -> None:
        if self.judge_file is None:
            return
        judge = load_judge(self.judge_file, self.device)
        image, label = batch
        seed = batch_idx * self.trainer.world_size + self.trainer.global_rank
        generated = judge(self.average(self._latent(len(image), seed=seed), label))
        scores = self.scores[split]
        assert isinstance(scores, SampleScores)
        scores.update(judge(image).features, generated.features, generated.probability)

    def _log_epoch(self, split: str) -> None:
        self.losses.log_epoch(self, split)
        if split in self.scores:
            scores = self.scores[split]
            assert isinstance(scores, SampleScores)
            self.log_dict({f"{split}/{name}": value for name, value in scores.compute().items()})
            scores.reset()

    @final
    def samples(self, *, count: int, seed: int) -> Float[Tensor, "n C H W"]:
        """Images of the averaged generator, classes in turn; the same for the same seed."""
        label = torch.arange(count, device=self.device) % self.num_classes
        images: Tensor = self.average(self._latent(count, seed=seed), label)
        return images

    def draw_samples(self, *, count: int) -> list[Image.Image]:
        """One picture of `count` rows, always of the same latent vectors."""
        return [draw_grid(self.samples(count=count * count, seed=0), columns=count)]

    @final
    def draw_interpolations(self, *, count: int, seed: int) -> Image.Image:
        """In every row images on the way from one latent vector to another."""
        ends = self._latent(2 * count, seed=seed)
        latent = spherical_interpolation(ends[:count], ends[count:], steps=_INTERPOLATION_STEPS)
        label = (torch.arange(count, device=self.device) % self.num_classes).repeat_interleave(_INTERPOLATION_STEPS)
        return draw_grid(self.average(latent.flatten(end_dim=1), label), columns=_INTERPOLATION_STEPS)

    def _latent(self, count: int, *, seed: int | None = None) -> Float[Tensor, "n Z"]:
        if seed is None:
            return torch.randn(count, self.latent_dim, device=self.device)
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, self.latent_dim, generator=generator).to(self.device)

    @final
    def _optimisers(
        self, *, optimizer: dict[str, Any], scheduler: dict[str, Any] | None, discriminator_rate_factor: float
    ) -> Any:
        players = {"discriminator": [self.network.discriminator], "generator": [self.network.generator]}
        return build_optimisers(
            self,
            players,
            rate_factors={"discriminator": discriminator_rate_factor},
            optimizer=optimizer,
            scheduler=scheduler,
        )
