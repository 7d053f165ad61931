"""List the steps, or run one: `python -m engine.steps [number]`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def step_names() -> list[str]:
    """The modules of the steps, in order."""
    return sorted(path.stem for path in Path(__file__).parent.glob("step*.py"))


def title(step: ModuleType) -> str:
    """The first line of a step's documentation."""
    return (step.__doc__ or "").splitlines()[0]


def claims(step: ModuleType) -> dict[str, Callable[[], None]]:
    """The tests that a step brings with it."""
    return {name: thing for name, thing in vars(step).items() if name.startswith("test_")}


def load(name: str) -> ModuleType:
    return importlib.import_module(f"engine.steps.{name}")


def main(arguments: list[str]) -> int:
    names = step_names()
    if not arguments:
        for number, name in enumerate(names, start=1):
            print(f"{number:3d}  {title(load(name))}")
        return 0
    if len(arguments) > 1 or not arguments[0].isdigit() or not 1 <= int(arguments[0]) <= len(names):
        print(f"give one number from 1 to {len(names)}, not {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    step = load(names[int(arguments[0]) - 1])
    print(f"{step.__doc__}")
    step.main()
    for name, claim in claims(step).items():
        claim()
        print(f"\nchecked: {name.removeprefix('test_').replace('_', ' ')}", end="")
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
