"""Metrics of the three splits, gathered at every step on the device and logged once an epoch.

`LightningModule.log` costs about 0.2 ms a call in a tight loop and several times that between real steps, because it
copies metric state; a 13 ms step would pay 10 % for it. An update of a metric's own state costs a tenth.
"""

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

SPLITS = ("train", "val", "test")


class SplitMetrics(nn.Module):
    """A copy of some metrics for each split, and beside them the mean loss over samples.

    Args:
        metrics: of every split.
        in_evaluation: more of them for `val` and `test`, such as would slow training down or fill its memory.
    """

    def __init__(self, metrics: MetricCollection, in_evaluation: MetricCollection | None = None) -> None:
        super().__init__()
        evaluated = MetricCollection([metrics, in_evaluation]) if in_evaluation is not None else metrics
        of_split = {"train": metrics, "val": evaluated, "test": evaluated}
        self.scores = nn.ModuleDict({_key(split): of_split[split].clone(prefix=f"{split}/") for split in SPLITS})
        self.losses = nn.ModuleDict({_key(split): MeanLoss() for split in SPLITS})
        # A run that goes on within an epoch goes on with the epoch's metrics.
        scores, losses = self._of("train")
        scores.persistent(mode=True)
        losses.persistent(mode=True)

    def update(self, split: str, prediction: Tensor, target: Tensor, *, loss: Tensor) -> None:
        """Take in a batch."""
        scores, losses = self._of(split)
        scores.update(prediction.detach(), target)
        losses.update(loss.detach(), num_samples=len(target))

    def log_epoch(self, module: LightningModule, split: str) -> None:
        """Log `split/quantity` over the whole split and all processes, and start anew."""
        scores, losses = self._of(split)
        module.log_dict({**scores.compute(), f"{split}/loss": losses.compute()})
        scores.reset()
        losses.reset()

    def _of(self, split: str) -> "tuple[MetricCollection, MeanLoss]":
        scores, losses = self.scores[_key(split)], self.losses[_key(split)]
        assert isinstance(scores, MetricCollection)
        assert isinstance(losses, MeanLoss)
        return scores, losses


class MeanLoss(Metric):
    """The mean over samples of a loss that is a mean over a batch; what is not finite shows.

    torchmetrics' MeanMetric does the same for any shape and weight, in three times the operations.
    """

    full_state_update = False
    total: Tensor
    num_samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("num_samples", default=torch.zeros(()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, *, num_samples: int) -> None:
        self.total += loss * num_samples
        self.num_samples += num_samples

    def compute(self) -> Tensor:
        return self.total / self.num_samples


def _key(split: str) -> str:
    # A module has a method named `train`, so it may not have a part of that name.
    return f"{split}_split"


def log_step(module: LightningModule, name: str, value: Tensor) -> None:
    """Log a quantity of single training steps, at the steps that reach the logger only."""
    every = module.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by one of Lightning's connectors
    if (module.global_step + 1) % every == 0:
        module.log(name, value.detach())
