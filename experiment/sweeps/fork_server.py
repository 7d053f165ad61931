"""A process that imports torch and Lightning once, and forks itself for every trial of a sweep.

A fork costs milliseconds where a fresh interpreter spends seconds on imports, and a trial that crashes takes nothing
with it. The sweep speaks with it through a pipe, or through a socket if it is on another machine (`worker.py`). The
server never touches a GPU: CUDA does not survive a fork. It has one thread, because the kernel's signal for a dead
parent goes by the thread that forked.
"""

import atexit
import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple, NoReturn, Protocol

from experiment.failures import EXIT_FAILED, EXIT_FINISHED
from experiment.parent_death import END_WITH_PARENT_VARIABLE, end_with_parent

# Between a polite signal and SIGKILL: time to finish a step and write a checkpoint.
GRACE_S = 15.0


class TrialRequest(NamedTuple):
    """What a trial's process needs: its number, command line, environment, and the file for what it prints."""

    number: int
    overrides: list[str]
    environment: dict[str, str]
    log_file: Path


class Event(NamedTuple):
    """What became of a trial: it started (process id), ended (wait status), sent something, or lost its machine."""

    kind: Literal["started", "ended", "sent", "lost"]
    number: int
    content: Any


# Runs one trial in a process of its own; what it sends through the connection arrives as an event.
TrialMain = Callable[[TrialRequest, Connection], None]


class ServerLost(Exception):  # noqa: N818 - what happened, not whose mistake
    """What ran the trials is gone, and all of them with it."""


class TrialServer(Protocol):
    """Where trials run, as the sweep sees it."""

    def start(self, request: TrialRequest) -> None:
        """Run a trial."""

    def signal(self, number: int, signum: signal.Signals) -> None:
        """SIGKILL ends all processes of a trial; any other signal goes to its first one, which tells the others."""

    def answer(self, number: int, content: object) -> None:
        """Send something to a trial."""

    def events(self, *, timeout_s: float) -> list[Event]:
        """What has happened, waiting for it as long as asked.

        Raises:
            ServerLost: no trial can run there any more.
        """

    def close(self) -> None:
        """End it, and whatever still runs."""


class ForkServer:
    """The sweep's side of a server on the same machine, see `TrialServer`."""

    def __init__(self, main: TrialMain, prepare: Callable[[], None]) -> None:
        """Start it.

        Args:
            main: runs a trial; called in the trial's process.
            prepare: what is done once for all trials; called in the server.
        """
        self._connection, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._connection.close()
            Server(theirs, main).run(prepare)
        theirs.close()

    def start(self, request: TrialRequest) -> None:
        self._send(("start", request))

    def signal(self, number: int, signum: signal.Signals) -> None:
        self._send(("signal", number, signum))

    def answer(self, number: int, content: object) -> None:
        self._send(("answer", number, content))

    def events(self, *, timeout_s: float) -> list[Event]:
        found: list[Event] = []
        try:
            while self._connection.poll(0 if found else timeout_s):
                found.append(self._connection.recv())
        except (EOFError, OSError) as error:
            raise ServerLost("the server of trials was killed, for want of memory perhaps") from error
        return found

    def close(self) -> None:
        self._connection.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise ServerLost("the server of trials was killed, for want of memory perhaps") from error


class _Trial(NamedTuple):
    number: int
    connection: Connection


class Server:
    """The server's own process."""

    def __init__(self, sweep: Connection, main: TrialMain) -> None:
        self._sweep = sweep
        self._main = main
        self._trials: dict[int, _Trial] = {}
        self._deaths, self._deaths_write = os.pipe()
        self._leave_by: float | None = None

    def run(self, prepare: Callable[[], None]) -> NoReturn:
        """Fork trials as the sweep asks for them, until it ends or the server has left it."""
        exit_code = EXIT_FINISHED
        try:
            end_with_parent()
            # A terminal's Ctrl-C reaches this process too; what it means is the sweep's to say.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.set_blocking(self._deaths, False)
            os.set_blocking(self._deaths_write, False)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            signal.set_wakeup_fd(self._deaths_write, warn_on_full_buffer=False)
            prepare()
            # What is there already is never garbage: not looking at it keeps its memory shared with the trials.
            gc.freeze()
            while not self._has_left():
                self._serve_once()
        except (EOFError, ConnectionError):
            # The sweep has ended.
            pass
        except BaseException:  # noqa: BLE001 - a fork must not go on with what its parent was doing
            traceback.print_exc()
            exit_code = EXIT_FAILED
        finally:
            for pid in self._trials:
                _kill_group(pid)
            os._exit(exit_code)

    def leave(self, signum: int, frame: FrameType | None) -> None:
        """Let trials save their state and end: this machine is taken away. To be made a signal's handler."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + GRACE_S
            for pid in self._trials:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _has_left(self) -> bool:
        return self._leave_by is not None and (not self._trials or time.monotonic() > self._leave_by)

    def _serve_once(self) -> None:
        connections = [trial.connection for trial in self._trials.values() if not trial.connection.closed]
        for ready in wait([self._sweep, self._deaths, *connections], timeout=None if self._leave_by is None else 0.5):
            if ready is self._sweep:
                self._obey(self._sweep.recv())
            elif ready == self._deaths:
                os.read(self._deaths, 4096)
            else:
                trial = next(trial for trial in self._trials.values() if trial.connection is ready)
                self._pass_on(trial)
        self._reap()

    def _obey(self, message: Any) -> None:
        if message[0] == "start":
            self._fork(message[1])
            return
        kind, number, content = message
        # The trial may have ended before the message came.
        for pid, trial in self._trials.items():
            if trial.number == number and kind == "signal" and content == signal.SIGKILL:
                _kill_group(pid)
            elif trial.number == number and kind == "signal":
                os.kill(pid, content)
            elif trial.number == number:
                with contextlib.suppress(OSError):
                    trial.connection.send(content)

    def _fork(self, request: TrialRequest) -> None:
        ours, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            _become_trial(self._main, request, theirs, to_close=[ours, self._sweep])
        theirs.close()
        self._trials[pid] = _Trial(request.number, ours)
        self._sweep.send(Event("started", request.number, pid))

    def _pass_on(self, trial: _Trial) -> None:
        try:
            self._sweep.send(Event("sent", trial.number, trial.connection.recv()))
        except (EOFError, OSError):
            trial.connection.close()

    def _reap(self) -> None:
        while self._trials:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            # Before its process id may be given to another: other processes of it have nothing left to do.
            _kill_group(dead.si_pid)
            _, status = os.waitpid(dead.si_pid, 0)
            trial = self._trials.pop(dead.si_pid, None)
            if trial is None:
                continue
            while not trial.connection.closed and trial.connection.poll():
                self._pass_on(trial)
            trial.connection.close()
            # Of a machine that is left, trials end by being lost, and go on elsewhere.
            if self._leave_by is None:
                self._sweep.send(Event("ended", trial.number, status))


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _become_trial(
    main: TrialMain, request: TrialRequest, connection: Connection, *, to_close: Sequence[Connection]
) -> NoReturn:
    """Turn a fresh fork of the server into a process as a shell would have started it, and run the trial."""
    code = 1
    try:
        end_with_parent()
        os.environ[END_WITH_PARENT_VARIABLE] = "1"
        # A session of its own: a terminal's Ctrl-C goes to the sweep alone, and all of a trial can be killed at once.
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # SLURM sends submitit's warning to all processes of a job; the worker passes it on as SIGTERM.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        # Ray starts its processes with Ctrl-C blocked.
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for inherited in to_close:
            inherited.close()
        # What others wanted done at the end of their process is not to be done at the end of this one.
        atexit._clear()
        _redirect_to(request.log_file)
        os.environ.update(request.environment)
        sys.argv[1:] = request.overrides
        main(request, connection)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - see above
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect_to(log_file: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
