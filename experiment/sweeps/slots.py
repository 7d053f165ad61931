"""Who gets which devices: GPUs by their ids, CPU cores as a number of threads."""

import os
import subprocess
from typing import Any, Literal, NamedTuple

from experiment.failures import Refused


class Slot(NamedTuple):
    """A place for one trial at a time."""

    number: int
    environment: dict[str, str]


def slots_of(options: dict[str, Any], trainer: dict[str, Any]) -> list[Slot]:
    """The places for trials on this machine, or on as many workers as asked for, whose jobs bring their devices.

    Args:
        options: conf/sweep.
        trainer: the settings of the trials' Trainer.

    Raises:
        Refused: see `slots_for`, or the number of workers was left open.
    """
    requested = options["slots"]
    if options["workers"]["kind"] == "none":
        return slots_for(requested, trainer)
    _refuse_several_machines(trainer)
    if requested == "auto":
        raise Refused("sweep.slots=auto: how many workers there are to be is yours to say, as in sweep.slots=4")
    return [Slot(index, {}) for index in range(requested)]


def slots_for(requested: int | Literal["auto"], trainer: dict[str, Any]) -> list[Slot]:
    """As many slots as asked for; `auto` is one a GPU (or as many GPUs as a trial takes), and one on a CPU.

    More slots than GPUs share them. On a CPU the cores are shared out among the slots' processes: with torch's default,
    all of them to everyone, two trials at once took more than twice the time of one after the other.

    Args:
        trainer: the settings of the trials' Trainer.

    Raises:
        Refused: a trial would need several machines, or GPUs that are not there.
    """
    _refuse_several_machines(trainer)
    gpus = visible_gpus() if trainer["accelerator"] in ("gpu", "cuda", "auto") else []
    if trainer["accelerator"] in ("gpu", "cuda") and not gpus:
        raise Refused(f"trainer.accelerator={trainer['accelerator']}, but this machine has no GPU; try trainer=cpu")
    if gpus:
        return _gpu_slots(requested, gpus, per_trial=_num_devices(trainer["devices"], available=len(gpus)))
    count = 1 if requested == "auto" else requested
    processes = _num_devices(trainer["devices"], available=1)
    threads = max(1, _num_cores() // (count * processes))
    is_shared = count * processes > 1 and "OMP_NUM_THREADS" not in os.environ
    return [Slot(index, {"OMP_NUM_THREADS": str(threads)} if is_shared else {}) for index in range(count)]


def _refuse_several_machines(trainer: dict[str, Any]) -> None:
    if trainer["num_nodes"] != 1:
        raise Refused(f"trainer.num_nodes={trainer['num_nodes']}: a trial runs on one machine; leave it at 1")


def _gpu_slots(requested: int | Literal["auto"], gpus: list[str], *, per_trial: int) -> list[Slot]:
    if per_trial > len(gpus):
        raise Refused(f"a trial takes {per_trial} GPUs, but this machine has {len(gpus)}; lower trainer.devices")
    count = len(gpus) // per_trial if requested == "auto" else requested
    slots = []
    for index in range(count):
        ids = [gpus[(index * per_trial + offset) % len(gpus)] for offset in range(per_trial)]
        slots.append(Slot(index, {"CUDA_VISIBLE_DEVICES": ",".join(ids)}))
    return slots


def _num_devices(devices: Any, *, available: int) -> int:
    """Of one trial."""
    if isinstance(devices, list):
        raise Refused(f"trainer.devices={devices}: the sweep gives out the devices; write how many a trial takes")
    if str(devices) in ("-1", "auto"):
        return available
    return int(devices)


def visible_gpus() -> list[str]:
    """Ids for CUDA_VISIBLE_DEVICES, without touching a device."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
