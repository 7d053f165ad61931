"""Settings of the whole process that make steps of training faster and their times even."""

import ctypes
import gc
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of mallopt's parameters (glibc's malloc.h)
KEPT_BYTES = 2**31 - 1
NEW_CONTAINERS = 50_000


def prepare_process() -> None:
    """Both settings."""
    keep_freed_memory()
    look_for_cycles_rarely()


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, for the next array, instead of giving it back to the system.

    A step frees arrays of some megabytes and asks for them again; of a block that went to the system in between every
    page is a fault. Whoever sets one of glibc's MALLOC_… variables has decided already; then, and elsewhere than on
    glibc, nothing is changed.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)


def look_for_cycles_rarely() -> None:
    """Have Python look for objects that hold each other after 50,000 new containers, not after 700.

    A graph holds no cycles and goes with its last variable, but each search walks all of it. A larger threshold, or
    none at all, stays as it is.
    """
    first, *others = gc.get_threshold()
    if 0 < first < NEW_CONTAINERS:
        gc.set_threshold(NEW_CONTAINERS, *others)
