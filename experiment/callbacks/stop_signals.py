"""Signals that ask a run to end: what came, and which exit code says so."""

import signal
from types import FrameType
from typing import Any

from experiment.failures import EXIT_CTRL_C, EXIT_SIGTERM, EXIT_SIGUSR1

# SIGUSR1 is what SLURM sends before it takes a machine away (sbatch --signal=USR1@60).
EXIT_CODES = {signal.SIGINT: EXIT_CTRL_C, signal.SIGTERM: EXIT_SIGTERM, signal.SIGUSR1: EXIT_SIGUSR1}


class StopSignals:
    """Notes the first signal that asks for the end; a second Ctrl-C is a KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers_before: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """Note signals from now on instead of dying of them."""
        for number in EXIT_CODES:
            self._handlers_before[number] = signal.signal(number, self._note)

    def ignore(self) -> None:
        """Leave signals to whoever had them before."""
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._handlers_before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
