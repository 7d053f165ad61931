"""Classes whose constructors pass keywords on; only their source is read."""

from typing import Any


class Parent:
    def __init__(self, passed: int, fixed: int) -> None:
        self.values = (passed, fixed)


class Child(Parent):
    def __init__(self, own: int, **others: Any) -> None:
        super().__init__(fixed=1, **others)
        self.own = own
