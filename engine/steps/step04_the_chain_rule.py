"""The chain rule, by hand.

Give every function a second formula: how a small change of its output follows from one of its input. Then walk the
calculation backwards and multiply. One walk, exact, whatever the number of inputs. Here: the height of a ball that was
thrown straight up, and its speed as the derivative of the height.
"""

from __future__ import annotations

GRAVITY = 9.81


class Variable:
    """A number in a box, with room for a derivative."""

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.0


class Function:
    """Remembers its input, which the derivative is taken at."""

    def __call__(self, x: Variable) -> Variable:
        self.input = x
        return Variable(self.forward(x.data))

    def forward(self, x: float) -> float:
        raise NotImplementedError

    def backward(self, gy: float) -> float:
        raise NotImplementedError


class Shift(Function):
    """t - a."""

    def __init__(self, a: float) -> None:
        self.a = a

    def forward(self, x: float) -> float:
        return x - self.a

    def backward(self, gy: float) -> float:
        return gy


class Square(Function):
    """x²."""

    def forward(self, x: float) -> float:
        return x * x

    def backward(self, gy: float) -> float:
        return 2.0 * self.input.data * gy


class Drop(Function):
    """How far below its highest point a ball is."""

    def forward(self, x: float) -> float:
        return -0.5 * GRAVITY * x

    def backward(self, gy: float) -> float:
        return -0.5 * GRAVITY * gy


def speed(seconds: float) -> float:
    """The derivative of the height, of a ball that is highest after two seconds."""
    since_top, squared, drop = Shift(2.0), Square(), Drop()
    t = Variable(seconds)
    height = drop(squared(since_top(t)))
    height.grad = 1.0
    # Backwards, one function at a time.
    t.grad = since_top.backward(squared.backward(drop.backward(height.grad)))
    return t.grad


def main() -> None:
    for seconds in (0.0, 1.0, 2.0, 3.0):
        print(f"after {seconds:.0f} s the ball moves at {speed(seconds) + 0.0:7.2f} m/s")


def test_the_speed_is_gravity_times_the_time_from_the_top() -> None:
    assert abs(speed(0.5) - GRAVITY * 1.5) < 1e-12


def test_the_ball_stands_still_at_the_top() -> None:
    assert speed(2.0) == 0.0
