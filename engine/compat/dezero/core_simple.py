"""DeZero's first core, whose gradients are numpy arrays."""

from __future__ import annotations

from typing import Any

import engine
from engine.compat.dezero import variable
from engine.compat.dezero.variable import Function, as_variable
from engine.config import no_grad, using_config

__all__ = ["Function", "Variable", "as_variable", "no_grad", "setup_variable", "using_config"]


_GRAD: Any = vars(engine.Variable)["grad"]  # where the engine keeps it


class Variable(variable.Variable):
    """A variable whose `grad` is a numpy array."""

    __slots__ = ()

    @property
    def grad(self) -> Any:
        gradient = _GRAD.__get__(self)
        return None if gradient is None else gradient.data

    @grad.setter
    def grad(self, gradient: Any) -> None:
        kept = gradient if gradient is None else variable.as_variable(gradient)
        _GRAD.__set__(self, kept)


Variable.result_class = Variable


def setup_variable() -> None:
    """Nothing to do: the operators belong to the class."""
