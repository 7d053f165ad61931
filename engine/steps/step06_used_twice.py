"""A variable used twice.

With functions of several inputs a box may have several users, and each sends a derivative back. They add up: that is
the chain rule for several paths. And a box must be asked only when all its users have spoken. Here each box counts the
users that are still silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


class Variable:
    """A number, the boxes it was made of, and its derivative by each of them."""

    def __init__(self, data: float, parents: Sequence[tuple[Variable, float]] = ()) -> None:
        self.data = data
        self.parents = parents
        self.grad = 0.0

    def backward(self) -> None:
        silent: Counter[Variable] = Counter()
        stack, seen = [self], {self}
        while stack:
            for parent, _ in stack.pop().parents:
                silent[parent] += 1
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
        self.grad = 1.0
        ready = [self]
        while ready:
            y = ready.pop()
            for parent, slope in y.parents:
                parent.grad += slope * y.grad  # add, do not overwrite
                silent[parent] -= 1
                if silent[parent] == 0:
                    ready.append(parent)


def add(a: Variable, b: Variable) -> Variable:
    return Variable(a.data + b.data, [(a, 1.0), (b, 1.0)])


def mul(a: Variable, b: Variable) -> Variable:
    return Variable(a.data * b.data, [(a, b.data), (b, a.data)])


def main() -> None:
    side = Variable(3.0)
    area = mul(side, side)
    volume = mul(area, side)
    both = add(area, volume)
    both.backward()
    print("side² + side³ at 3:", both.data, "slope:", side.grad, "(2·3 + 3·9)")


def test_paths_add_up() -> None:
    x = Variable(3.0)
    add(x, add(x, x)).backward()
    assert x.grad == 3.0


def test_a_box_waits_for_all_its_users() -> None:
    x = Variable(2.0)
    a = mul(x, x)
    add(mul(a, a), a).backward()
    assert x.grad == 4 * 8.0 + 2 * 2.0
