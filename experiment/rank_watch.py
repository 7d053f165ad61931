"""Processes that train together watch each other: when one dies or stops, the run ends and says which.

Without it a process that waits for a dead one ends with a message about a connection, or Lightning kills the first
process before it can say anything; for a stopped one it waits half an hour.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from subprocess import Popen, TimeoutExpired
from typing import Any, NamedTuple

from pytorch_lightning import Trainer
from torch import distributed
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from experiment.run_directory import RUN_DIR_VARIABLE

_BEAT_S = 1.0
# A process whose threads all stand still for so long is stopped, swapped out or gone with its machine.
_SILENCE_S = 30.0
_START_S = 600.0
_FOR_MAIN_THREAD_S = 3.0
_WORDS_OF_A_LOST_CONNECTION = ("gloo", "nccl", "connection", "broken pipe", "socket")


class Verdict(NamedTuple):
    """Which process ended a run and how, in a line, and the traceback that it left, if it could."""

    line: str
    traceback: str = ""


class RankWatch:
    """A thread in each of the processes of a run.

    Args:
        report: called in the first process, from that thread, with what ended the run, if the main thread hangs.
    """

    def __init__(self, trainer: Trainer, report: Callable[[Verdict], None]) -> None:
        self._trainer = trainer
        self._report = report
        self._children: dict[int, Popen[bytes]] = {}
        self._last_beat: dict[int, tuple[bytes, float]] = {}
        self._started = time.monotonic()
        self._answered_at: float | None = None
        self._parent = os.getppid()
        self._verdict: Verdict | None = None
        self._has_verdict = threading.Event()
        self._is_over = threading.Event()
        self._ending = threading.Lock()
        self._is_started_by_first = RUN_DIR_VARIABLE in os.environ and "LOCAL_RANK" in os.environ
        if trainer.world_size > 1:
            threading.Thread(target=self._watch, name="rank-watch", daemon=True).start()
            if trainer.global_rank != 0:
                threading.Thread(target=self._wait_for_answers, name="rank-answers", daemon=True).start()

    def explain(self, error: BaseException) -> Verdict | None:
        """Which process an error is due to, if it tells of a lost connection; ends the watch."""
        text = f"{type(error).__name__} {error}".lower()
        if self._trainer.world_size > 1 and any(word in text for word in _WORDS_OF_A_LOST_CONNECTION):
            self._has_verdict.wait(_SILENCE_S)
        # The thread may be ending the process already.
        self._ending.acquire()
        return self._verdict

    def tell(self, traceback_text: str) -> None:
        """Leave word of what ended this process, for the first one to report."""
        try:
            self._connect().set(f"error/{self._trainer.global_rank}", traceback_text)
        except (RuntimeError, OSError):
            print(traceback_text, file=sys.stderr)

    def end(self, *, is_failed: bool) -> None:
        """This process has done its part; the first waits for the others, or ends them."""
        self._is_over.set()
        for child in self._children.values():
            if is_failed:
                child.kill()
            try:
                child.wait(timeout=2 * _SILENCE_S)
            except TimeoutExpired:
                child.kill()

    def _watch(self) -> None:
        store: Any = None
        beat = 0
        while not self._is_over.wait(_BEAT_S / 4 if store is None else _BEAT_S):
            self._adopt_children()
            verdict = self._dead_child(store)
            if store is None and distributed.is_initialized():
                store = self._connect()
            if store is not None and verdict is None:
                beat += 1
                verdict = self._exchange(store, beat)
                self._answered_at = time.monotonic()
            if verdict is not None:
                self._conclude(verdict)
                return

    def _wait_for_answers(self) -> None:
        """Notice that the first process, in which the store lives, is stopped: a question to it waits for ever."""
        while not self._is_over.wait(_BEAT_S):
            if self._answered_at is not None and time.monotonic() - self._answered_at > _SILENCE_S:
                self._conclude(Verdict(f"{self._name(0)} has given no answer for {_SILENCE_S:.0f} s"))

    def _adopt_children(self) -> None:
        """Take over the processes that Lightning started; its own observer would kill this one without a word."""
        launcher = self._trainer.strategy.launcher
        started = getattr(launcher, "procs", None)
        if started:
            self._children = dict(enumerate(started, start=1))
            started.clear()

    def _dead_child(self, store: Any) -> Verdict | None:
        for rank, child in self._children.items():
            code = child.poll()
            if code is not None and code != 0:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
                text = _left_word(store, rank)
                last_line = f": {text.strip().splitlines()[-1]}" if text else ""
                return Verdict(f"{self._name(rank)} {how}{last_line}", text)
        return None

    def _exchange(self, store: Any, beat: int) -> Verdict | None:
        """Give a sign of life and look for the others'."""
        own = self._trainer.global_rank
        try:
            store.set(f"beat/{own}", str(beat))
            if own != 0:
                store.get("beat/0")
                return None
            for rank in range(1, self._trainer.world_size):
                if verdict := self._listen(store, rank):
                    return verdict
        except (RuntimeError, OSError):
            if own != 0:
                return Verdict(f"{self._name(0)} is gone")
        return None

    def _listen(self, store: Any, rank: int) -> Verdict | None:
        child = self._children.get(rank)
        if child is not None and child.returncode == 0:
            return None
        key = f"beat/{rank}"
        sign = store.get(key) if store.check([key]) else b""
        before, since = self._last_beat.get(rank, (b"", self._started))
        if sign != before or rank not in self._last_beat:
            self._last_beat[rank] = (sign, time.monotonic())
            return None
        silence_s = time.monotonic() - since
        if silence_s < (_SILENCE_S if sign else _START_S):
            return None
        return Verdict(f"{self._name(rank)} has given no sign of life for {silence_s:.0f} s, as if it were stopped")

    def _conclude(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._has_verdict.set()
        if self._trainer.global_rank != 0:
            # Nobody is left to report to, and to wait for a dead process would be for ever.
            if self._is_started_by_first and os.getppid() == self._parent:
                print(f"{verdict.line}: ended it; continue with resume=last", file=sys.stderr, flush=True)
                os.kill(self._parent, signal.SIGKILL)
            os._exit(1)
        # The main thread learns of a lost connection by itself, and can close the run's files in order.
        if self._is_over.wait(_FOR_MAIN_THREAD_S) or not self._ending.acquire(blocking=False):
            return
        self._report(verdict)
        for child in self._children.values():
            child.kill()
        sys.stderr.flush()
        os._exit(1)

    def _connect(self) -> Any:
        return TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=_SILENCE_S / 2),
        )

    def _name(self, rank: int) -> str:
        child = self._children.get(rank)
        number = f" (process id {child.pid})" if child is not None else ""
        return f"rank {rank} of {self._trainer.world_size}{number}"


def _left_word(store: Any, rank: int) -> str:
    """The traceback that a process left behind."""
    key = f"error/{rank}"
    try:
        if store is None or not store.check([key]):
            return ""
        text: str = store.get(key).decode()
    except (RuntimeError, OSError):
        return ""
    return text
