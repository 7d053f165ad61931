"""A box for a number.

Differentiation begins with something that can be asked later where it came from. A bare number cannot: it has no
place to write that down. So every number gets a box. Three lines; nothing else is needed yet.
"""

from __future__ import annotations


class Variable:
    """A number in a box."""

    def __init__(self, data: float) -> None:
        self.data = data


def main() -> None:
    x = Variable(20.0)
    print("in the box:", x.data)
    x.data = 21.5  # the box stays, the number changes
    print("now:", x.data)


def test_a_box_stays_itself_when_its_number_changes() -> None:
    x = Variable(1.0)
    y = x
    y.data = 2.0
    assert x.data == 2.0
