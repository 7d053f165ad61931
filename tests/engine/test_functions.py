"""The contract of every function: value, gradient and second derivative are torch's, in float64."""

import inspect
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from engine import Variable, grad, using_config
from engine import functions as F
from engine.config import KERNELS
from tests.engine.network_cases import CASES

WITH_KERNELS = [name for name in CASES if "conv" in name or "pooling" in name]
NOT_DIFFERENTIABLE = {"accuracy"}


def close(ours: torch.Tensor, torchs: torch.Tensor) -> None:
    assert ours.dtype == torchs.dtype
    torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-10)


def with_torch(function: Any, arrays: list[torch.Tensor], seeds: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [x.clone().requires_grad_() for x in arrays]
    y = function(*leaves)
    gradients = torch.autograd.grad(y, leaves, seeds[0], create_graph=True)
    total = sum((g * seed).sum() for g, seed in zip(gradients, seeds[1:], strict=True))
    seconds = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else [None] * len(leaves)
    zeros = [torch.zeros_like(x) if second is None else second for x, second in zip(leaves, seconds, strict=True)]
    return [y.detach(), *(g.detach() for g in gradients), *zeros]


def with_engine(function: Any, arrays: list[torch.Tensor], seeds: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [Variable(x.clone()) for x in arrays]
    fast = grad(function(*leaves), leaves, seeds[0])  # on plain arrays
    y = function(*leaves)
    gradients = grad(y, leaves, seeds[0], create_graph=True)
    for g, same in zip(gradients, fast, strict=True):
        close(g.array, same.array)
    # A gradient that does not depend on a leaf has the second derivative zero there: hence `+ 0 * x`.
    total = sum(F.sum(g * seed) for g, seed in zip(gradients, seeds[1:], strict=True))
    total = total + sum(F.sum(x * 0.0) for x in leaves)
    return [y.array, *(g.array for g in gradients), *(g.array for g in grad(total, leaves))]


@pytest.mark.parametrize(
    ("name", "kernels"),
    [(name, "scratch") for name in CASES] + [(name, "vendor") for name in WITH_KERNELS],
)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_value_gradient_and_second_derivative_are_torchs(name: str, kernels: str, data: st.DataObject) -> None:
    arrays, ours, torchs = CASES[name](data.draw)
    shape = torchs(*arrays).shape
    generator = torch.Generator().manual_seed(0)
    seeds = [torch.randn(s, generator=generator, dtype=torch.float64) for s in (shape, *(x.shape for x in arrays))]
    with using_config("kernels", kernels):
        results = with_engine(ours, arrays, seeds)
    for mine, expected in zip(results, with_torch(torchs, arrays, seeds), strict=True):
        close(mine, expected)


def test_every_public_function_is_in_the_contract() -> None:
    functions = {name for name in F.__all__ if inspect.isfunction(getattr(F, name))}
    assert functions - set(CASES) <= NOT_DIFFERENTIABLE


def test_both_kernels_are_in_the_contract() -> None:
    assert KERNELS == ("scratch", "vendor")
    assert {"conv2d", "deconv2d", "pooling", "average_pooling"} <= set(WITH_KERNELS)
