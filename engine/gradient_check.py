"""Gradients by differences, to check those of formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from engine import functions as F
from engine.config import no_grad, using_config
from engine.reverse_pass import grad
from engine.variable import Array, Value, Variable, as_array


def numerical_grad(f: Callable[..., Value], inputs: Sequence[Any], index: int = 0, eps: float = 1e-5) -> Array:
    """The derivative of the sum of f's output in inputs[index], by central differences; its error is of order eps²."""
    arrays = [as_array(x).clone() for x in inputs]
    x = arrays[index]
    if x.dtype != torch.float64:
        raise ValueError(f"differences of {x.dtype} are mostly rounding error; give float64 inputs")
    gradient = torch.zeros_like(x)
    flat, result = x.view(-1), gradient.view(-1)
    with no_grad():
        for i in range(x.numel()):
            before = float(flat[i])
            flat[i] = before + eps
            above = as_array(f(*map(Variable, arrays))).sum()
            flat[i] = before - eps
            below = as_array(f(*map(Variable, arrays))).sum()
            flat[i] = before
            result[i] = (above - below) / (2.0 * eps)
    return gradient


def gradient_check(
    f: Callable[..., Value], *inputs: Any, rtol: float = 1e-4, atol: float = 1e-5, second_order: bool = False
) -> None:
    """Compare the gradients of f, for every floating-point input, with differences.

    Args:
        f: a function of Variables; its output's elements are summed.
        inputs: arrays in float64, or of integers, which are passed on.
        rtol, atol: how near is near enough; the differences themselves are good to about 1e-9.
        second_order: check the gradients of the gradient, too.

    Raises:
        AssertionError: a gradient is wrong; the message says which, where and by how much.
    """
    leaves = [Variable(as_array(x).clone(), name=f"inputs[{i}]") for i, x in enumerate(inputs)]
    wanted = [i for i, leaf in enumerate(leaves) if leaf.requires_grad]
    gradients = grad(_variable(F.sum(f(*leaves))), [leaves[i] for i in wanted])
    for i, gradient in zip(wanted, gradients, strict=True):
        expected = numerical_grad(f, inputs, i)
        if not torch.allclose(gradient.array, expected, rtol=rtol, atol=atol):
            worst = int((gradient.array - expected).abs().argmax())
            raise AssertionError(
                f"the gradient of inputs[{i}] is {float(gradient.array.view(-1)[worst]):.6g} at element {worst}, but"
                f" differences give {float(expected.view(-1)[worst]):.6g}; check `backward`"
            )
    if second_order:
        generator = torch.Generator().manual_seed(0)
        weights = [torch.randn(leaves[i].shape, generator=generator, dtype=torch.float64) for i in wanted]

        def slope(*xs: Variable) -> Value:
            chosen = [xs[i] for i in wanted]
            with using_config("enable_backprop", True):  # numerical_grad runs without
                gradients = grad(_variable(F.sum(f(*xs))), chosen, create_graph=True)
                # A linear function's gradient does not depend on its inputs: hence the zeros that do.
                weighted = [F.sum(g * w) + F.sum(x * 0.0) for g, w, x in zip(gradients, weights, chosen, strict=True)]
                return F.sum(F.stack(weighted))

        gradient_check(slope, *inputs, rtol=rtol, atol=atol)


def _variable(x: Value) -> Variable:
    if not isinstance(x, Variable):
        raise TypeError("the function returned a plain array; it must compute with the Variables that it is given")
    return x
