"""Generated data on disk: a folder is there as a whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name at the end; of one that an error leaves half written nothing stays.

    A process that was quicker has written the same: its folder stays.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        yield unfinished
        # What is made as a temporary folder only its owner may look into.
        unfinished.chmod(0o755)
        try:
            os.rename(unfinished, folder)  # noqa: PTH104 - onto a folder that is not empty it fails, as it should
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
