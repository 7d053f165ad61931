"""What a model makes of some validation samples, as pictures, every few epochs: in the run's directory and trackers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer

from experiment.contracts import DrawsPredictions, DrawsSamples, HasSampleFiles, ReadsFiles
from experiment.failures import in_one_line
from experiment.trackers.guarded import warn_once
from lightning_modules.logged_pictures import log_pictures


class ValidationPictures(Callback):
    """Asks the model for pictures, as predict.py does, and hands them to every logger that can show them.

    A model that draws predictions is given files of the validation set, always the same; one that makes samples of its
    own is asked for those. A model or data set that does neither has no pictures.

    Args:
        run_dir: the run's directory; samples of a set that has no files are written there.
        every_n_epochs: how often.
        count: how many.
    """

    def __init__(self, *, run_dir: str, every_n_epochs: int, count: int) -> None:
        if every_n_epochs < 1 or count < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs}, count={count}: both are 1 or more; null leaves it out")
        self._folder = Path(run_dir) / "pictures" / "samples"
        self.every_n_epochs = every_n_epochs
        self.count = count
        self._files: list[Path] | None = None
        self._has_failed = False

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or self._has_failed or not is_due or self.count < trainer.world_size:
            return
        try:
            pictures = self._pictures(trainer, pl_module)
        except Exception as error:  # noqa: BLE001 - a picture is not worth a run
            self._has_failed = True
            warn_once(f"no validation pictures ({in_one_line(error)}); the run goes on without them")
            return
        if pictures:
            log_pictures(trainer, "val/pictures", pictures, step=trainer.global_step)

    def _pictures(self, trainer: Trainer, model: LightningModule) -> list[Image.Image]:
        # Validation runs in inference mode, in which a model could not look at gradients to explain a prediction.
        with torch.inference_mode(mode=False), torch.no_grad(), trainer.precision_plugin.forward_context():
            if isinstance(model, DrawsSamples):
                return model.draw_samples(count=self.count)
            data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by one of Lightning's connectors
            if not (isinstance(model, DrawsPredictions) and isinstance(data, HasSampleFiles)):
                return []
            if self._files is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._files = data.sample_files("val", count=self.count, folder=self._folder)
            return _draw(trainer, model, data, self._files)


def _draw(trainer: Trainer, model: Any, data: ReadsFiles, files: Sequence[Path]) -> list[Image.Image]:
    """Pictures of this process's share of the files; every process predicts, for a network may be split over them."""
    predictions: list[Any] = []
    for index, batch in enumerate(data.files_dataloader(files)):
        predictions += model.predict_step(trainer.strategy.batch_to_device(batch), index)
    own = files[trainer.global_rank :: trainer.world_size]
    return [model.draw(file, prediction, data.class_names) for file, prediction in zip(own, predictions, strict=True)]
