"""Pictures as results of a run, beside its numbers."""

from collections.abc import Sequence

from PIL import Image
from pytorch_lightning import Trainer


def log_pictures(trainer: Trainer, name: str, pictures: Sequence[Image.Image], *, step: int | None = None) -> None:
    """Hand pictures to every logger that keeps some, under a name like `test/confusion_matrix`.

    Args:
        step: to which they belong; None is the last that was logged.
    """
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key=name, images=pictures, step=step)
