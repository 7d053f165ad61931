"""Define-by-run automatic differentiation, from the ground up (start reading at variable.py)."""

from engine.config import config, no_grad, test_mode, using_config

from engine.variable import Array, Parameter, Value, Variable, as_array  # isort: skip - Variables before functions
from engine.function import Function
from engine.reverse_pass import backward, grad

__all__ = [
    "Array",
    "Function",
    "Parameter",
    "Value",
    "Variable",
    "as_array",
    "backward",
    "config",
    "grad",
    "no_grad",
    "test_mode",
    "using_config",
]
