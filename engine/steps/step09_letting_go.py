"""Letting go.

A graph costs memory: as long as its end is alive, everything behind it is. So a function must not hold its output
(that would be a circle, which only the garbage collector opens), and where no derivative is wanted, nothing should be
linked at all. Both are one line each: hold inputs only, and ask a switch before linking.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager


class Variable:
    """A number that holds what it was made of, never what is made of it."""

    linking = True

    def __init__(self, data: float, parent: Variable | None = None) -> None:
        self.data = data
        self.parent = parent if Variable.linking else None

    def double(self) -> Variable:
        return Variable(2.0 * self.data, self)


@contextmanager
def no_grad() -> Iterator[None]:
    before, Variable.linking = Variable.linking, False
    try:
        yield
    finally:
        Variable.linking = before


def kept_alive(steps: int) -> int:
    """How many of the boxes of a calculation live on while its result does."""
    x = Variable(1.0)
    boxes = []
    for _ in range(steps):
        boxes.append(weakref.ref(x))
        x = x.double()
    return sum(box() is not None for box in boxes)


def main() -> None:
    print("boxes kept for the walk back:", kept_alive(50))
    with no_grad():
        print("boxes kept under no_grad:", kept_alive(50))


def test_without_gradients_nothing_is_kept() -> None:
    with no_grad():
        assert kept_alive(50) == 0
    assert kept_alive(50) == 50


def test_a_graph_goes_with_its_end() -> None:
    gc.disable()
    try:
        x = Variable(1.0)
        y = x.double()
        seen = weakref.ref(x)
        del x
        assert seen() is not None
        del y
        assert seen() is None
    finally:
        gc.enable()
