"""Functions from boxes to boxes.

If every operation takes boxes and returns a box, calculations can be strung together, and each operation is a place
where we may later add something: its derivative. Here a temperature goes from Celsius to Fahrenheit and back.
"""

from __future__ import annotations


class Variable:
    """A number in a box."""

    def __init__(self, data: float) -> None:
        self.data = data


class Function:
    """Takes the number out of a box, computes, and puts the result into a new one."""

    def __call__(self, x: Variable) -> Variable:
        return Variable(self.forward(x.data))

    def forward(self, x: float) -> float:
        raise NotImplementedError


class Times(Function):
    """Multiply by a number."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: float) -> float:
        return self.factor * x


class Plus(Function):
    """Add a number."""

    def __init__(self, summand: float) -> None:
        self.summand = summand

    def forward(self, x: float) -> float:
        return x + self.summand


def fahrenheit(celsius: Variable) -> Variable:
    return Plus(32.0)(Times(1.8)(celsius))


def main() -> None:
    for celsius in (-40.0, 0.0, 37.0):
        print(f"{celsius:6.1f} °C = {fahrenheit(Variable(celsius)).data:6.1f} °F")


def test_functions_compose() -> None:
    assert fahrenheit(Variable(100.0)).data == 212.0


def test_the_input_is_left_as_it_was() -> None:
    x = Variable(3.0)
    Times(5.0)(x)
    assert x.data == 3.0
