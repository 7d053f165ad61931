"""A reverse pass, step by step: who is asked, with what, and where the answer goes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.function import Function
from engine.reverse_pass import backward
from engine.variable import Operand, Value, Variable, as_array


def trace_backward(output: Variable, gradient: Operand | None = None) -> list[str]:
    """Run `backward` and return a line for each step."""
    lines: list[str] = []

    def note(function: Function, gradients: Sequence[Value], returned: Sequence[Value | None]) -> None:
        targets = [
            "nowhere" if target is None else target.name or "a leaf" if isinstance(target, Variable) else repr(target)
            for target in function.receivers
        ]
        sent = [
            f"{_show(g)} to {t}" for g, t in zip(returned, targets, strict=True) if g is not None and t != "nowhere"
        ]
        kept = sum(
            as_array(x).nbytes for x in function.saved or () if not isinstance(x, (int, float)) and x is not None
        )
        received = ", ".join(map(_show, gradients))
        lines.append(f"{len(lines) + 1:4d}  {function!r} gets {received}; sends {', '.join(sent)}; frees {kept} bytes")

    backward(output, gradient, observe=note)
    return lines


def _show(gradient: Value) -> str:
    array = as_array(gradient)
    return f"{array.item():.6g}" if array.numel() == 1 else f"{tuple(array.shape)} of norm {float(array.norm()):.6g}"
