"""Runs the trials of a sweep, as many at a time as there are slots, whatever becomes of any of them."""

import os
import shutil
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

from experiment.failures import EXIT_CTRL_C, EXIT_SIGTERM
from experiment.run_directory import TRIAL_DIR_VARIABLE
from experiment.sweeps.fork_server import GRACE_S, Event, TrialRequest, TrialServer
from experiment.sweeps.points import Point, PointSource
from experiment.sweeps.search_space import overrides_of
from experiment.sweeps.slots import Slot
from experiment.sweeps.trial_records import Outcome, TrialRecord, TrialRecords

# A trial that loses its machine more often is taken for the cause.
_MAX_LOSSES = 3
_POLL_S = 0.2
# Statuses after which a trial goes on from its last checkpoint.
_CONTINUED = ("running", "interrupted", "killed", "timed out")


class Plan(NamedTuple):
    """How a sweep's trials are run.

    Args:
        fixed: the overrides that all trials share.
        seeds: each point is run under every one of these; none: under the configuration's own.
        environment: of all trials.
        timeout_s: of one trial; null is without end.
        retries_failed: whether trials that failed before are run again.
    """

    fixed: list[str]
    seeds: list[int]
    environment: dict[str, str]
    timeout_s: float | None
    retries_failed: bool


@dataclass
class _Running:
    record: TrialRecord
    point: Point
    slot: Slot
    seconds_before: float
    started: float
    deadline: float | None
    outcome: Outcome | None = None
    is_timed_out: bool = False


class Scheduler:
    """Gives trials to slots until the source of points has none left, or a signal comes."""

    def __init__(
        self,
        source: PointSource,
        server: TrialServer,
        records: TrialRecords,
        *,
        slots: list[Slot],
        plan: Plan,
        tell: Callable[[TrialRecord], None],
    ) -> None:
        self._source = source
        self._server = server
        self._records = records
        self._plan = plan
        self._tell = tell
        self._free = list(slots)
        self._waiting: deque[tuple[Point, TrialRecord]] = deque()
        self._running: dict[int, _Running] = {}
        self._losses: Counter[int] = Counter()
        self._received: list[signal.Signals] = []
        self._stop_by: float | None = None

    def run(self) -> int | None:
        """Run them all; the exit code of an interruption, or None.

        Raises:
            ServerLost: see there.
        """
        handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while True:
                self._fill_slots()
                if not self._running:
                    break
                for event in self._server.events(timeout_s=_POLL_S):
                    self._handle(event)
                self._watch_the_clock()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if not self._received:
            return None
        return EXIT_CTRL_C if self._received[0] is signal.SIGINT else EXIT_SIGTERM

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received.append(signal.Signals(number))

    def _fill_slots(self) -> None:
        while self._free and not self._received:
            if not self._waiting and not self._fetch():
                return
            point, record = self._waiting.popleft()
            self._start(point, record, self._free.pop(0))

    def _fetch(self) -> bool:
        """Put the trials of the next point into the queue; False if there is none."""
        while (point := self._source.next_point()) is not None:
            records = [self._record(point, index) for index in range(max(1, len(self._plan.seeds)))]
            self._waiting += [(point, record) for record in records if not self._is_done(record)]
            if self._waiting:
                return True
            # The sweep was killed after its trials had ended and before the source knew.
            self._source.conclude(point, records)
        return False

    def _record(self, point: Point, index: int) -> TrialRecord:
        number = point.number * max(1, len(self._plan.seeds)) + index
        if (known := self._records.get(number)) is not None:
            return known
        seed = self._plan.seeds[index] if self._plan.seeds else None
        of_seed = [] if seed is None else [f"seed={seed}"]
        overrides = [*self._plan.fixed, *overrides_of(point.params), *of_seed]
        return TrialRecord(number, point.number, dict(point.params), overrides, seed=seed)

    def _is_done(self, record: TrialRecord) -> bool:
        is_kept = record.status in ("finished", "pruned") or not self._plan.retries_failed
        return record.is_ended and is_kept

    def _start(self, point: Point, record: TrialRecord, slot: Slot) -> None:
        run = self._records.run_of(record.number)
        overrides = record.overrides
        if run.is_started and (finished := _outcome_of_finished(run.record())):
            # The sweep was killed between the trial's end and its record.
            self._close(record, finished, seconds=run.record()["wall_time_s"])
            self._conclude_if_last(point)
            self._free.append(slot)
            return
        if any(run.checkpoints.glob("*.ckpt")) and record.status in _CONTINUED:
            overrides = [f"resume='{run.path}'"]
        elif run.path.exists():
            # Nothing was saved that could be gone on from, or it failed and is tried anew.
            shutil.rmtree(run.path)
        record.status = "running"
        record.error = record.traceback = None
        self._records.write(record)
        environment = {**self._plan.environment, **slot.environment, TRIAL_DIR_VARIABLE: str(run.path)}
        self._server.start(TrialRequest(record.number, overrides, environment, self._records.log_file(record.number)))
        self._running[record.number] = _Running(record, point, slot, record.seconds, time.monotonic(), None)

    def _handle(self, event: Event) -> None:
        running = self._running[event.number]
        if event.kind == "started":
            running.started = time.monotonic()
            if self._plan.timeout_s is not None:
                running.deadline = running.started + self._plan.timeout_s
            if self._received:
                self._server.signal(event.number, signal.SIGINT)
        elif event.kind == "ended":
            self._end(self._running.pop(event.number), event.content)
        elif event.kind == "lost":
            self._move(running)
        elif isinstance(event.content, Outcome):
            running.outcome = event.content
        else:
            epoch, value = event.content
            is_pruned = self._source.is_to_be_pruned(running.point, epoch=epoch, value=value)
            self._server.answer(event.number, is_pruned)

    def _move(self, running: _Running) -> None:
        """Start a trial again whose machine was taken away, unless it had said its last word."""
        number = running.record.number
        if running.outcome is None:
            # Without a word, which the trial itself may be the cause of.
            self._losses[number] += 1
        is_over = running.outcome is not None and running.outcome.status != "interrupted"
        if is_over or self._received or running.is_timed_out or self._losses[number] > _MAX_LOSSES:
            self._end(self._running.pop(number), signal.SIGKILL)
            return
        del self._running[number]
        running.record.seconds = round(running.seconds_before + time.monotonic() - running.started, 3)
        self._start(running.point, running.record, running.slot)

    def _end(self, running: _Running, wait_status: int) -> None:
        self._free.append(running.slot)
        self._free.sort()
        outcome = self._outcome(running, wait_status)
        seconds = running.seconds_before + time.monotonic() - running.started
        self._close(running.record, outcome, seconds=seconds)
        self._conclude_if_last(running.point)

    def _outcome(self, running: _Running, wait_status: int) -> Outcome:
        """What its own process sent, if it did, else what the kernel says."""
        outcome = running.outcome
        if outcome is not None and outcome.status == "finished" and outcome.objective is None:
            return Outcome("failed", None, outcome.metrics, "it gave no objective")
        if outcome is not None and outcome.status not in ("interrupted", "failed"):
            return outcome
        if running.is_timed_out:
            return Outcome("timed out", None, {}, f"it ran longer than sweep.timeout_s={self._plan.timeout_s:g}")
        if outcome is not None and outcome.status == "interrupted" and not self._received:
            return Outcome("killed", None, {}, f"a signal from elsewhere: {outcome.error}")
        if outcome is not None:
            return outcome
        if os.WIFSIGNALED(wait_status):
            name = signal.Signals(os.WTERMSIG(wait_status)).name
            if self._received:
                return Outcome("interrupted", None, {}, f"ended by {name} as the sweep was stopped")
            hint = "; by the kernel for want of memory, perhaps" if name == "SIGKILL" else ""
            return Outcome("killed", None, {}, f"ended by {name}{hint}")
        code = os.WEXITSTATUS(wait_status)
        if self._received and code in (EXIT_CTRL_C, EXIT_SIGTERM):
            return Outcome("interrupted", None, {}, "stopped before it began")
        error = self._last_line(running.record.number) or f"ended with exit code {code} and no result"
        return Outcome("refused" if code == 2 else "failed", None, {}, error)

    def _last_line(self, number: int) -> str:
        with suppress(FileNotFoundError):
            lines = self._records.log_file(number).read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def _close(self, record: TrialRecord, outcome: Outcome, *, seconds: float) -> None:
        record.status, record.objective, record.metrics = outcome.status, outcome.objective, outcome.metrics
        record.error, record.traceback, record.seconds = outcome.error, outcome.traceback, round(seconds, 3)
        self._records.write(record)
        self._tell(record)

    def _conclude_if_last(self, point: Point) -> None:
        records = [self._record(point, index) for index in range(max(1, len(self._plan.seeds)))]
        if all(record.is_ended for record in records):
            self._source.conclude(point, records)

    def _watch_the_clock(self) -> None:
        now = time.monotonic()
        for number, running in self._running.items():
            if running.deadline is not None and now > running.deadline and not self._received:
                self._server.signal(number, signal.SIGKILL if running.is_timed_out else signal.SIGTERM)
                running.is_timed_out = True
                running.deadline = now + GRACE_S
        if self._received and self._stop_by is None:
            self._stop_by = now + GRACE_S
            for number in self._running:
                self._server.signal(number, signal.SIGINT)
        if self._stop_by is not None and (now > self._stop_by or len(self._received) > 1):
            for number in self._running:
                self._server.signal(number, signal.SIGKILL)


def _outcome_of_finished(record: dict[str, Any]) -> Outcome | None:
    """Of a run that ended in order, whatever its sweep had time to note."""
    if record["status"] != "finished" or record.get("objective") is None:
        return None
    return Outcome("finished", record["objective"], record["metrics"], error=None)
