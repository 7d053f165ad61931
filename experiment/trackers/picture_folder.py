"""A run's pictures in its directory, for `runs.py compare` and for eyes: `pictures/<name>/<step>/<n>.png`."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

PICTURES = "pictures"


class PictureFolder(Logger):
    """A Lightning logger that is always on and keeps nothing but pictures; a replayed step replaces its own."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self._run_dir = run_dir
        self._step = 0

    @property
    def name(self) -> str:
        return self._run_dir.parent.name

    @property
    def version(self) -> str:
        return self._run_dir.name

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Note the step, for pictures that come without one."""
        self._step = step if step is not None else self._step

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Image.Image], step: int | None = None) -> None:
        """Write pictures under a name like `val/pictures`."""
        folder = self._run_dir / PICTURES / key.replace("/", "-") / str(self._step if step is None else step)
        folder.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            image.save(folder / f"{index}.png")
