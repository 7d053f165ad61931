"""Pictures as results of a run, beside its numbers."""

from PIL import Image
from pytorch_lightning import LightningModule


def log_picture(module: LightningModule, name: str, picture: Image.Image) -> None:
    """Hand a picture to every logger that keeps some, under a name like `test/confusion_matrix`."""
    if not module.trainer.is_global_zero:
        return
    for logger in module.loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key=name, images=[picture])
