"""TensorBoard, with pictures."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only


class TensorBoardTracker(TensorBoardLogger):
    """Lightning's, which does not show pictures; `tensorboard` must be installed.

    Args:
        run_dir: the run's directory, in which a folder `tensorboard` is made.
    """

    def __init__(self, *, run_dir: str) -> None:
        super().__init__(save_dir=run_dir, name=None, version="tensorboard", default_hp_metric=False)

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        """Show pictures under a name."""
        for index, image in enumerate(images):
            self.experiment.add_image(f"{key}/{index}", np.asarray(image.convert("RGB")), step, dataformats="HWC")
