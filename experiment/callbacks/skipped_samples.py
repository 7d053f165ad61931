"""What `data.on_error=skip` has left out, written into the run's directory and told."""

import json
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_warn
from torch import distributed

from datamodules.unreadable import SkippingLoader, Unreadable
from experiment.run_directory import replacing

FILE_NAME = "skipped.json"


class SkippedSamples(Callback):
    """Lists the samples that could not be read in `skipped.json`: file, record, reason.

    Args:
        run_dir: the run's directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._file = run_dir / FILE_NAME
        # Also those of before an interruption.
        earlier = json.loads(self._file.read_text()) if self._file.exists() else []
        self._told = {Unreadable(**entry) for entry in earlier}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(trainer, [trainer.train_dataloader])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(trainer, trainer.val_dataloaders)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._tell(trainer, trainer.test_dataloaders)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # Of several processes nobody knows who else is here.
        if trainer.world_size == 1:
            self._tell(trainer, [trainer.train_dataloader])

    def _tell(self, trainer: Trainer, loaders: object) -> None:
        loaders = loaders if isinstance(loaders, list) else [loaders]
        skipping = [loader for loader in loaders if isinstance(loader, SkippingLoader) and loader.on_error == "skip"]
        if not skipping:
            return
        skipped = [sample for loader in skipping for sample in loader.skipped]
        if trainer.world_size > 1:
            of_ranks: list[list[Unreadable]] = [[] for _ in range(trainer.world_size)]
            distributed.all_gather_object(of_ranks, skipped)
            skipped = [sample for of_rank in of_ranks for sample in of_rank]
        new = set(skipped) - self._told
        if not new or not trainer.is_global_zero:
            return
        self._told |= new
        with replacing(self._file) as stream:
            stream.write(json.dumps([sample._asdict() for sample in sorted(self._told, key=str)], indent=1).encode())
        for sample in new:
            rank_zero_warn(f"skipped {sample.file} {sample.record or ''}: {sample.reason}")
