"""What libraries say goes to a run's log, not to the screen."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def quieten_libraries() -> None:
    """Take from the screen what Lightning prints at every start: tips, hardware that is not there."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    # Of torch about Lightning's own code, and of Lightning about our samplers, which do return every index.
    warnings.filterwarnings("ignore", message=".*treespec.*")
    warnings.filterwarnings("ignore", message=".*custom batch sampler `EvaluationOrder`.*")


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Write log messages and warnings to a file."""
    handler = logging.FileHandler(file, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level_before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)
        root.setLevel(level_before)
        handler.close()
