"""Processes that end with the one that started them, even if that was killed without a chance to tell them."""

import ctypes
import os
import signal
import sys

# Set for a trial and so for all processes that it starts from this project's command line (DDP's other ranks).
END_WITH_PARENT_VARIABLE = "FIRSTHAND_END_WITH_PARENT"
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; Linux only, elsewhere it does nothing.

    To be called from the process's first thread. The parent is the thread that forked, hence its first one too.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It ended between the two calls.
        os.kill(os.getpid(), signal.SIGKILL)
