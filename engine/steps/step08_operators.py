"""Writing it as mathematics.

Python asks a class what +, * and ** mean, and asks the right operand (`__radd__`) when the left one does not know. So
formulas can be typed as they are written. Here: the energy of a pendulum, with plain numbers on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence


class Variable:
    """A number that can be computed with; the walk is the simple recursive one, to keep this short."""

    def __init__(self, data: float, parents: Sequence[tuple[Variable, float]] = ()) -> None:
        self.data = data
        self.parents = parents
        self.grad = 0.0

    def backward(self, gradient: float = 1.0) -> None:
        self.grad += gradient
        for parent, slope in self.parents:
            parent.backward(slope * gradient)

    def __add__(self, other: Variable | float) -> Variable:
        b = other if isinstance(other, Variable) else Variable(other)
        return Variable(self.data + b.data, [(self, 1.0), (b, 1.0)])

    def __mul__(self, other: Variable | float) -> Variable:
        b = other if isinstance(other, Variable) else Variable(other)
        return Variable(self.data * b.data, [(self, b.data), (b, self.data)])

    def __pow__(self, exponent: int) -> Variable:
        return Variable(self.data**exponent, [(self, exponent * self.data ** (exponent - 1))])

    def __neg__(self) -> Variable:
        return self * -1.0

    def __sub__(self, other: Variable | float) -> Variable:
        return self + -other

    def __rsub__(self, other: float) -> Variable:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__


def energy(speed: Variable, height: Variable) -> Variable:
    """Of two kilograms, in joules."""
    return 0.5 * 2.0 * speed**2 + 2.0 * 9.81 * height


def main() -> None:
    speed, height = Variable(3.0), Variable(0.5)
    total = energy(speed, height)
    total.backward()
    print(f"{total.data:.2f} J; {speed.grad:.2f} J more per m/s, {height.grad:.2f} J more per metre")


def test_numbers_may_stand_on_either_side() -> None:
    x = Variable(2.0)
    y = 1.0 - 3.0 * x + x * 4.0 - 5.0
    y.backward()
    assert (y.data, x.grad) == (-2.0, 1.0)


def test_the_derivative_by_the_speed_is_the_momentum() -> None:
    speed = Variable(3.0)
    energy(speed, Variable(0.0)).backward()
    assert speed.grad == 2.0 * 3.0
