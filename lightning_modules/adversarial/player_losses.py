"""Losses of several players, gathered over an epoch and logged as `split/loss_player`."""

from collections.abc import Sequence

from pytorch_lightning import LightningModule
from torch import Tensor, nn

from lightning_modules.split_metrics import SPLITS, MeanLoss


class PlayerLosses(nn.Module):
    """Mean losses of each player and split."""

    def __init__(self, players: Sequence[str]) -> None:
        super().__init__()
        self.players = tuple(players)
        self.means = nn.ModuleDict({f"{split}_{player}": MeanLoss() for split in SPLITS for player in players})
        for player in players:
            # A run that goes on within an epoch goes on with the epoch's losses.
            self._of("train", player).persistent(mode=True)

    def update(self, split: str, losses: dict[str, Tensor], *, num_samples: int) -> None:
        """Take in the losses of a batch."""
        for player, loss in losses.items():
            self._of(split, player).update(loss.detach(), num_samples=num_samples)

    def log_epoch(self, module: LightningModule, split: str) -> None:
        """Log the means over the whole split and all processes, and start anew."""
        module.log_dict({f"{split}/loss_{player}": self._of(split, player).compute() for player in self.players})
        for player in self.players:
            self._of(split, player).reset()

    def log_step(self, module: LightningModule, losses: dict[str, Tensor]) -> None:
        """Log a step's losses, at the steps that reach the logger only; the step is counted already."""
        every = module.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by one of Lightning's connectors
        if module.global_step % every == 0:
            module.log_dict({f"train/loss_{player}_step": loss for player, loss in losses.items()})

    def _of(self, split: str, player: str) -> MeanLoss:
        mean = self.means[f"{split}_{player}"]
        assert isinstance(mean, MeanLoss)
        return mean
