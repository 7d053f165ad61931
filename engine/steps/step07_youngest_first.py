"""The youngest first.

Counting users takes a walk over the whole graph before the real one. There is a simpler order: number the boxes as
they are made. A box is older than everything computed from it, so the youngest box that has received a derivative can
expect no other. A heap hands it out. This is the order of the engine.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

_number = itertools.count()


class Variable:
    """A number with a number of its own."""

    def __init__(self, data: float, parents: Sequence[tuple[Variable, float]] = ()) -> None:
        self.data = data
        self.parents = parents
        self.grad = 0.0
        self.age = next(_number)

    def backward(self) -> list[int]:
        """Return the order of the walk, to look at."""
        self.grad = 1.0
        waiting = {self.age: self}
        heap, order = [-self.age], []
        while heap:
            y = waiting.pop(-heapq.heappop(heap))
            order.append(y.age)
            for parent, slope in y.parents:
                parent.grad += slope * y.grad
                if parent.age not in waiting:
                    waiting[parent.age] = parent
                    heapq.heappush(heap, -parent.age)
        return order


def mul(a: Variable, b: Variable) -> Variable:
    return Variable(a.data * b.data, [(a, b.data), (b, a.data)])


def main() -> None:
    x = Variable(2.0)
    a = mul(x, x)
    b = mul(a, x)
    c = mul(a, b)
    print("order of the walk:", c.backward(), " slope of x⁵ at 2:", x.grad)


def test_every_box_is_visited_once() -> None:
    x = Variable(1.1)
    y = x
    for _ in range(30):  # 2^30 paths, 31 boxes
        y = mul(y, y)
    assert len(y.backward()) == 31


def test_the_order_gives_the_right_slope() -> None:
    x = Variable(2.0)
    a = mul(x, x)
    mul(mul(a, x), a).backward()
    assert x.grad == 5 * 2.0**4
