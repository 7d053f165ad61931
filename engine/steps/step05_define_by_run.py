"""A calculation that writes itself down.

The walk backwards need not be written by hand: let each box remember the function that made it, and each function its
input. Running the program draws the graph (define-by-run), so `if` and `while` are simply part of it. Here the number
of halvings depends on the data, and the derivative still comes out.
"""

from __future__ import annotations


class Variable:
    """A number that knows its creator."""

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.0
        self.creator: Function | None = None

    def backward(self) -> None:
        self.grad = 1.0
        y = self
        while y.creator is not None:
            function = y.creator
            function.input.grad = function.backward(y.grad)
            y = function.input


class Function:
    """Links its output to itself, and itself to its input."""

    def __call__(self, x: Variable) -> Variable:
        self.input = x
        y = Variable(self.forward(x.data))
        y.creator = self
        return y

    def forward(self, x: float) -> float:
        raise NotImplementedError

    def backward(self, gy: float) -> float:
        raise NotImplementedError


class Half(Function):
    """x / 2."""

    def forward(self, x: float) -> float:
        return x / 2.0

    def backward(self, gy: float) -> float:
        return gy / 2.0


def below_one(x: Variable) -> Variable:
    while x.data >= 1.0:
        x = Half()(x)
    return x


def main() -> None:
    for start in (0.7, 3.0, 100.0):
        x = Variable(start)
        y = below_one(x)
        y.backward()
        print(f"{start:6.1f} -> {y.data:.4f}, slope {x.grad:.6f}")


def test_the_graph_follows_the_data() -> None:
    x = Variable(100.0)
    below_one(x).backward()
    assert x.grad == 0.5**7


def test_long_chains_need_no_recursion() -> None:
    x = Variable(1.0)
    y = x
    for _ in range(20_000):
        y = Half()(y)
    y.backward()
    assert x.grad == 0.0  # 2^-20000, too small for a float
