"""Loss and accuracy of both tasks of pre-training, over whole splits."""

from typing import cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_modules.bert.network import PretrainingScores
from lightning_modules.split_metrics import SPLITS


class _Mean(Metric):
    """Of single values, each batch with as many as it has."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros(()), dist_reduce_fx="sum")

    def update(self, mean: Tensor, count: int) -> None:
        self.total += mean.detach() * count
        self.count += count

    def compute(self) -> Tensor:
        return self.total / self.count


class PretrainingMetrics(nn.Module):
    """A hidden token counts once, however many its text has; so does a pair of passages.

    Args:
        next_sentence: also of the second task.
    """

    def __init__(self, *, next_sentence: bool) -> None:
        super().__init__()
        self.next_sentence = next_sentence
        tasks = ("mlm", "nsp") if next_sentence else ("mlm",)
        self.names = [f"{task}_{quantity}" for task in tasks for quantity in ("loss", "accuracy")]
        self.means = nn.ModuleDict({f"{split}_{name}": _Mean() for split in SPLITS for name in self.names})
        # A run that goes on within an epoch goes on with the epoch's metrics.
        for name in self.names:
            self._of("train", name).persistent(mode=True)

    def update(
        self,
        split: str,
        scores: PretrainingScores,
        answers: Tensor,
        is_next: Tensor,
        *,
        mlm_loss: Tensor,
        nsp_loss: Tensor,
    ) -> None:
        """Take in a batch: scores of its hidden tokens, and the tokens that they are."""
        is_right = (scores.token.argmax(dim=1) == answers).float().mean()
        for name, mean in {"mlm_loss": mlm_loss, "mlm_accuracy": is_right}.items():
            self._of(split, name).update(mean, len(answers))
        if not self.next_sentence:
            return
        is_right_next = ((scores.is_next > 0) == is_next).float().mean()
        for name, mean in {"nsp_loss": nsp_loss, "nsp_accuracy": is_right_next}.items():
            self._of(split, name).update(mean, len(is_next))

    def log_epoch(self, module: LightningModule, split: str) -> None:
        """Log `split/quantity` over the whole split and all processes, and start anew."""
        values = {name: self._of(split, name).compute() for name in self.names}
        loss = torch.stack([value for name, value in values.items() if name.endswith("loss")]).sum()
        module.log_dict({f"{split}/{name}": value for name, value in {**values, "loss": loss}.items()})
        for name in self.names:
            self._of(split, name).reset()

    def _of(self, split: str, name: str) -> _Mean:
        return cast("_Mean", self.means[f"{split}_{name}"])
