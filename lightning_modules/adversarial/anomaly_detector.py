"""What detectors of anomalies share that know normal images only: training, scores, heat maps."""

from abc import abstractmethod
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from PIL import Image
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from datamodules.batches import AnomalyBatch, ImageBatch
from lightning_modules.adversarial.anomaly_pictures import AnomalyPrediction, draw_anomaly, predictions_of
from lightning_modules.adversarial.anomaly_scores import AnomalyScores
from lightning_modules.adversarial.player_losses import PlayerLosses
from lightning_modules.adversarial.turns import Turn, clip_gradients_, is_turn, optimise_by_hand_, take_turns_
from lightning_modules.adversarial.verdict import Verdict
from lightning_modules.split_steps import SplitEpochs


class AnomalyDetector(SplitEpochs):
    """Networks trained against each other on normal images; what they cannot make is anomalous.

    Logs the players' losses of every split, and the scores of `AnomalyScores` of `val` and `test`.

    Args:
        players: their names, in the order of `turns`.
        num_classes: of the data.
    """

    network: nn.Module

    def __init__(self, *, players: tuple[str, ...], num_classes: int) -> None:
        super().__init__()
        self.players = players
        self.losses = PlayerLosses(players)
        self.scores = nn.ModuleDict({split: AnomalyScores(num_classes=num_classes) for split in ("val", "test")})
        self.gathered: list[AnomalyBatch] = []

    @abstractmethod
    def configure_optimizers(self) -> OptimizerLRScheduler: ...

    @abstractmethod
    def turns(self) -> tuple[Turn[AnomalyBatch], ...]:
        """The players' networks and losses."""

    @abstractmethod
    def judge(self, image: Float[Tensor, "B C H W"]) -> Verdict:
        """How anomalous images are, each by itself."""

    @abstractmethod
    def after_step_(self) -> None:
        """What a training step does beside the players' turns."""

    def setup(self, stage: str) -> None:
        """Take optimisation over, and ask what the kinds of images are called."""
        if stage == "fit":
            optimise_by_hand_(self)
        names = getattr(getattr(self.trainer, "datamodule", None), "class_names", None)
        for scores in self.scores.values():
            assert isinstance(scores, AnomalyScores)
            scores.kind_names = names or scores.kind_names

    @final
    def _step(self, batch: AnomalyBatch, split: str) -> dict[str, Tensor]:
        losses = {player: turn.loss(batch) for player, turn in zip(self.players, self.turns(), strict=True)}
        self.losses.update(split, losses, num_samples=len(batch.image))
        return losses

    @final
    def training_step(self, batch: AnomalyBatch, batch_idx: int) -> dict[str, Tensor] | None:
        self.gathered.append(batch)
        if not is_turn(self, batch_idx):
            return None
        batches, self.gathered = self.gathered, []
        losses = dict(zip(self.players, take_turns_(self, batches, self.turns()), strict=True))
        self.after_step_()
        self.losses.update("train", losses, num_samples=sum(len(gathered.image) for gathered in batches))
        self.losses.log_step(self, losses)
        return losses

    @final
    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        clip_gradients_(self, optimizer)

    @final
    def validation_step(self, batch: AnomalyBatch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    @final
    def test_step(self, batch: AnomalyBatch, batch_idx: int) -> None:
        self._evaluate(batch, "test")

    def _evaluate(self, batch: AnomalyBatch, split: str) -> None:
        self._step(batch, split)
        scores = self.scores[split]
        assert isinstance(scores, AnomalyScores)
        scores.update(self.judge(batch.image), batch)

    def _log_epoch(self, split: str) -> None:
        self.losses.log_epoch(self, split)
        if split in self.scores:
            scores = self.scores[split]
            assert isinstance(scores, AnomalyScores)
            self.log_dict({f"{split}/{name}": value for name, value in scores.compute().items()})
            scores.reset()

    @final
    def predict_step(self, batch: ImageBatch, batch_idx: int) -> list[AnomalyPrediction]:
        """For each image its score, and where it differs from what the generator makes."""
        return predictions_of(self.judge(batch.image))

    @final
    def draw(self, file: Path, prediction: AnomalyPrediction, class_names: list[str]) -> Image.Image:
        """The file, its reconstruction and the difference."""
        return draw_anomaly(file, prediction)

    @final
    def latent(self, count: int, *, dim: int) -> Float[Tensor, "n Z"]:
        """Random latent vectors."""
        return torch.randn(count, dim, device=self.device)
