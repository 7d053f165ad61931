"""Which data a run saw, noted before its first step."""

from pytorch_lightning import Callback, LightningModule, Trainer

from experiment.contracts import HasFingerprint
from experiment.run_directory import RunDirectory


class NoteDataFingerprint(Callback):
    """Writes the data module's fingerprint into the run's record."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = getattr(trainer, "datamodule", None)
        if trainer.is_global_zero and isinstance(data, HasFingerprint):
            self._run.update(data_fingerprint=data.fingerprint())
