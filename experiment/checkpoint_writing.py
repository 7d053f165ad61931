"""Checkpoints on their way to the disk: from a copy, in a thread of their own, whole or not at all."""

import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from experiment.checkpoints import load_checkpoint
from experiment.failures import RunFailed, is_disk_full
from experiment.run_directory import replacing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk, renames. Loads plain data only.

    Lightning writes to the system's temporary folder first, which is a copy, not a rename, when that is another file
    system: a kill in the middle left a part of a file under the checkpoint's name.

    Training waits for a copy of the state, not for the disk. At most one write is under way; what went wrong with it is
    raised by the next call.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._under_way: Future[None] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Have the checkpoint replaced, or left as it is.

        Raises:
            RunFailed: the disk had no room for the checkpoint before.
            OSError: that one could not be written for another reason.
        """
        self.wait()
        self._under_way = self._executor.submit(_write, _copy(checkpoint), Path(path))

    def then(self, action: Callable[[], None]) -> None:
        """Do something once the checkpoint under way is on the disk, and only if it gets there."""
        earlier = self._under_way

        def after() -> None:
            if earlier is not None:
                earlier.result()
            action()

        self._under_way = self._executor.submit(after)

    def wait(self) -> None:
        """Until nothing is under way.

        Raises:
            RunFailed, OSError: see `save_checkpoint`.
        """
        if self._under_way is not None:
            job, self._under_way = self._under_way, None
            job.result()

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Any | None = None,
        weights_only: bool | None = None,  # noqa: FBT001 - Lightning's signature
    ) -> dict[str, Any]:
        """See `load_checkpoint`: only plain data, whatever is asked."""
        self.wait()
        return load_checkpoint(Path(path), map_location=map_location)

    def teardown(self) -> None:
        self.wait()


def _copy(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The same with tensors of its own, in memory; two that were one remain one."""
    copies: dict[tuple[Any, ...], Tensor] = {}

    def copy(tensor: Tensor) -> Tensor:
        key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() == 0 or key not in copies:
            copies[key] = tensor.detach().to("cpu", copy=True)
        return copies[key]

    copied: dict[str, Any] = apply_to_collection(checkpoint, Tensor, copy)
    return copied


def _write(checkpoint: dict[str, Any], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(file) as stream:
            torch.save(checkpoint, stream)
    except (OSError, RuntimeError) as error:
        if not is_disk_full(error):
            raise
        needed = sum(value.nbytes for value in _tensors_of(checkpoint))
        free = shutil.disk_usage(file.parent).free
        raise RunFailed(
            f"no room for {file}: it needs about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; the checkpoint"
            " before it is kept: free some space, then continue with resume=last"
        ) from error


def _tensors_of(checkpoint: dict[str, Any]) -> list[Tensor]:
    found: list[Tensor] = []
    apply_to_collection(checkpoint, Tensor, found.append)
    return found
