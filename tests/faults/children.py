"""Runs in processes of their own, forked from this one: torch is imported once for all of them."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NamedTuple

from experiment import training
from experiment.failures import EXIT_FAILED, EXIT_REFUSED, Refused, RunInterrupted, in_one_line
from experiment.start import RunRequest


class Ended(NamedTuple):
    """How a child ended: its exit code, negative for the signal that killed it."""

    code: int

    @property
    def is_killed(self) -> bool:
        return self.code == -signal.SIGKILL


def train_in_child(request: RunRequest, *faults: Callable[[], None]) -> Ended:
    """Train as train.py would, with faults, and tell how the process ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(_train(request, faults))
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status))


def _train(request: RunRequest, faults: tuple[Callable[[], None], ...]) -> int:
    try:
        for fault in faults:
            fault()
        training.run_training(request)
    except RunInterrupted as interruption:
        return interruption.exit_code
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    except BaseException as error:  # noqa: BLE001 - of a process of its own
        print(in_one_line(error), file=sys.stderr)
        if not isinstance(error, Exception):
            traceback.print_exc()
        return EXIT_FAILED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
