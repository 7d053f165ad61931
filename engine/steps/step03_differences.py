"""The slope by differences.

Move x a little to both sides and see how much f moves: (f(x + h) - f(x - h)) / 2h. It works for every f and will
check all our formulas, but it is slow (two runs for each number that may move) and never exact: a large h misses the
curve, a small one drowns in rounding. The picture shows the error of the slope of exp at 1 as h shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.steps.text_plot import curve


def slope(f: Callable[[float], float], x: float, h: float = 1e-5) -> float:
    return (f(x + h) - f(x - h)) / (2.0 * h)


def error(h: float) -> float:
    return abs(slope(math.exp, 1.0, h) - math.e)


def main() -> None:
    exponents = [1 + i * 0.25 for i in range(53)]
    print("log10 of the error, for h from 10^-1 (left) to 10^-14 (right):")
    print(curve([math.log10(error(10**-e) + 1e-17) for e in exponents], width=53))


def test_the_slope_of_a_parabola_is_exact_up_to_rounding() -> None:
    assert abs(slope(lambda x: 3.0 * x * x, 2.0) - 12.0) < 1e-9


def test_neither_the_largest_nor_the_smallest_step_is_best() -> None:
    assert error(1e-5) < error(1e-1)
    assert error(1e-5) < error(1e-13)
