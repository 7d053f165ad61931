"""How a command ends when it does not finish: which exit code, and which one line."""

import errno

EXIT_FINISHED = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_CTRL_C = 130
EXIT_SIGUSR1 = 138
EXIT_SIGTERM = 143


class Refused(Exception):  # noqa: N818 - it is the program's answer, not an error in it
    """The request cannot be started as it stands: configuration, arguments or data. Nothing was written."""


class RunFailed(Exception):  # noqa: N818
    """A started run could not go on."""


class RunInterrupted(Exception):  # noqa: N818
    """A signal ended a run after it saved its state."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class RunPruned(Exception):  # noqa: N818
    """A sweep gave a trial up.

    Args:
        value: its objective then.
    """

    def __init__(self, message: str, *, value: float) -> None:
        super().__init__(message)
        self.value = value


def in_one_line(error: BaseException) -> str:
    """What came, what was expected, what to do, of an error from anywhere."""
    if is_disk_full(error):
        return f"the disk is full ({error}); free some space, then continue with resume=last"
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename}; change it, or choose another folder"
    if is_out_of_memory(error):
        return (
            f"out of memory ({_first_line(error)}); lower data.batch_size, and raise trainer.accumulate_grad_batches to"
            " keep the size of an optimisation step"
        )
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename} is missing; put it back, or correct the path"
    if isinstance(error, Refused | RunFailed | RunInterrupted | RunPruned | ValueError | FileNotFoundError):
        return str(error)
    return f"{type(error).__name__}: {_first_line(error)}"


def is_disk_full(error: BaseException) -> bool:
    """Whether a write failed for want of space; torch reports that as a short write."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, RuntimeError) and ("unexpected pos" in str(error) or "file write failed" in str(error))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a device (torch.OutOfMemoryError), in torch's CPU allocator or in Python."""
    text = str(error).lower()
    is_refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or is_refused or "out of memory" in text or "can't allocate memory" in text


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0]
