"""A sweep on disk: `outputs/<experiment>/<sweep id>/`, with the run directories of its trials in it.

sweep.json      what was asked for; at the end, what came of it
trials/         <n>.json, the state of each trial; <n>.log, what it printed
0/ 1/ 2/ ...    the trials' run directories
study.journal   Optuna's, of a sweep that searches; report.html: its plots
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

from experiment.failures import Refused
from experiment.locations import did_you_mean
from experiment.run_directory import SWEEP_FILE, new_run_id, replacing

Definition = dict[str, Any]


class SweepDirectory:
    """One sweep's directory, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    @property
    def id(self) -> str:
        return self.path.name

    def content(self) -> dict[str, Any]:
        """`sweep.json` as it stands."""
        content: dict[str, Any] = json.loads((self.path / SWEEP_FILE).read_text())
        return content

    @property
    def definition(self) -> Definition:
        definition: Definition = self.content()["definition"]
        return definition

    def create(self, definition: Definition, *, argv: list[str]) -> None:
        """Make the directory, which must not exist."""
        self.path.mkdir(parents=True, exist_ok=False)
        self._write({"id": self.id, "definition": definition, "argv": argv, "status": "running"})

    def update(self, **changes: Any) -> None:
        """Change entries of `sweep.json`."""
        self._write({**self.content(), **changes})

    def lock(self) -> None:
        """Keep other processes from working on this sweep, until this one ends in whatever way.

        Raises:
            Refused: another one does already.
        """
        self._lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            raise Refused(
                f"sweep {self.id} is being run by process {self._lock.read().strip()}; wait for it"
            ) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def leave_lock(self) -> None:
        """In a fork of the process that holds it: the lock ends with that process alone."""
        if self._lock is not None:
            self._lock.close()

    def _write(self, content: dict[str, Any]) -> None:
        with replacing(self.path / SWEEP_FILE) as stream:
            stream.write((json.dumps(content, indent=1) + "\n").encode())


def open_sweep(outputs_dir: Path, definition: Definition, *, resume: str, argv: list[str]) -> SweepDirectory:
    """The sweep to work on, locked: an earlier one that is to go on, or a new one.

    Args:
        resume: `auto` goes on with the newest sweep of the same definition, `never` with none; `last` is the newest of
            the experiment; else an id or the beginning of one.

    Raises:
        Refused: there is none of that name, it was defined otherwise, or it is being run.
    """
    folder = outputs_dir / str(definition["experiment"])
    sweeps = sorted((SweepDirectory(file.parent) for file in folder.glob(f"*/{SWEEP_FILE}")), key=lambda s: s.id)
    found: SweepDirectory | None = None
    if resume == "auto":
        found = next((sweep for sweep in reversed(sweeps) if sweep.definition == definition), None)
    elif resume != "never":
        found = _named(resume, sweeps, folder)
        if changes := differences(found.definition, definition):
            raise Refused(
                f"sweep {found.id} was defined otherwise; give it the same search space, or sweep.resume=never:\n"
                + "\n".join(changes)
            )
    if found is None:
        found = SweepDirectory(folder / new_run_id(outputs_dir))
        found.create(definition, argv=argv)
    found.lock()
    return found


def _named(reference: str, sweeps: list[SweepDirectory], folder: Path) -> SweepDirectory:
    if not sweeps:
        raise Refused(f"sweep.resume={reference}: there are no sweeps in {folder}; leave it out to start one")
    if reference == "last":
        return sweeps[-1]
    matches = [sweep for sweep in sweeps if sweep.id.startswith(reference)]
    if len(matches) != 1:
        ids = [sweep.id for sweep in sweeps]
        what = "could be any of " + ", ".join(s.id for s in matches[:5]) if matches else f"is none in {folder}"
        raise Refused(f"sweep.resume={reference} {what}{did_you_mean(reference, ids) if not matches else ''}")
    return matches[0]


def differences(old: Definition, new: Definition) -> list[str]:
    """Line by line what differs, as `- then` and `+ now`."""
    lines: list[str] = []
    for key in {**old, **new}:
        then, now = old.get(key), new.get(key)
        if then == now:
            continue
        if isinstance(then, dict) and isinstance(now, dict):
            lines += differences(then, now)
            continue
        lines += [f"- {key}: {then}"] if then is not None else []
        lines += [f"+ {key}: {now}"] if now is not None else []
    return lines
