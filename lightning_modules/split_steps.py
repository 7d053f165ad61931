"""What models have in common: metrics that are logged by the epoch, and with one loss the same step for every split."""

from abc import ABC, abstractmethod
from typing import Any, final

from pytorch_lightning import LightningModule
from torch import Tensor

from lightning_modules.split_metrics import log_step


class SplitEpochs(LightningModule, ABC):
    """Training, validation and test log their metrics by one `_log_epoch`."""

    @abstractmethod
    def _log_epoch(self, split: str) -> None:
        """Log `split/quantity` over the whole split, and start anew."""

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")

    @final
    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    @final
    def on_test_epoch_end(self) -> None:
        self._log_epoch("test")


class SplitSteps(SplitEpochs):
    """Training, validation and test by one `_step`; the training loss is logged at single steps too."""

    @abstractmethod
    def _step(self, batch: Any, split: str) -> Tensor:
        """The loss of a batch, which the metrics of `train`, `val` or `test` have taken in.

        The annotation of `batch` says which kind of data the model is for.
        """

    @final
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self._step(batch, "train")
        log_step(self, "train/loss_step", loss)
        return loss

    @final
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "val")

    @final
    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "test")
