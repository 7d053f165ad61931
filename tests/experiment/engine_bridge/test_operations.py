"""Torch's operations on the engine: values and gradients are torch's, and what is missing is refused by name."""

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from experiment.engine_bridge import recording as recording_module
from experiment.engine_bridge.operation_table import TRANSLATIONS
from experiment.engine_bridge.recording import from_scratch, plan_of
from experiment.engine_bridge.training_steps import in_torchs_graph
from tests.experiment.engine_bridge.operation_cases import CASES


def _inputs(shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def _total(result: Any) -> Tensor:
    weight = torch.linspace(0.5, 1.5, result.numel(), dtype=result.dtype).reshape(result.shape)
    total: Tensor = (result * weight).sum()
    return total


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_torchs(name: str) -> None:
    calculate, shapes = CASES[name]
    theirs, ours = _inputs(shapes), _inputs(shapes)
    torch.manual_seed(2)
    expected = _total(calculate(*theirs))
    expected.backward()
    torch.manual_seed(2)
    with from_scratch() as recording:
        found = _total(calculate(*ours))
    assert not found.requires_grad, "torch's own graph was recorded too"
    loss = in_torchs_graph(recording, found)
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.grad, their.grad, rtol=1e-10, atol=1e-10)


def test_every_translation_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()

    def noting(operation: Any) -> Any:
        name = operation._opname
        used.update({name, f"{name}.{operation._overloadname}"})
        return plan_of(operation)

    monkeypatch.setattr(recording_module, "plan_of", noting)
    for calculate, shapes in CASES.values():
        with from_scratch():
            calculate(*_inputs(shapes))
    assert sorted(TRANSLATIONS.keys() - used) == []


def test_an_operation_that_the_engine_lacks_is_refused_by_its_name() -> None:
    (x,) = _inputs(((3, 4),))
    with from_scratch() as recording:
        values = x.cumprod(1)
        loss = values.sum()
    assert torch.equal(values, x.detach().cumprod(1))
    with pytest.raises(NotImplementedError, match=r"no derivative of aten::cumprod.*model\.engine=torch"):
        in_torchs_graph(recording, loss).backward()


def test_an_operation_that_the_engine_lacks_is_fine_where_no_gradient_needs_it() -> None:
    (x,) = _inputs(((3, 4),))
    with from_scratch() as recording:
        share = x.cumprod(1).detach()
        loss = (x * share).sum()
    in_torchs_graph(recording, loss).backward()
    torch.testing.assert_close(x.grad, x.detach().cumprod(1))


def test_what_torch_differentiates_by_itself_is_refused_by_its_name() -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * 2

    (x,) = _inputs(((3,),))
    with from_scratch(), pytest.raises(NotImplementedError, match="no derivative of DoubledBackward"):
        Doubled.apply(x).sum()


def test_a_parameter_is_not_changed_in_place_where_gradients_are_recorded() -> None:
    (x,) = _inputs(((3,),))
    with from_scratch():
        with pytest.raises(RuntimeError, match=r"changed in place.*torch\.no_grad"):
            x.mul_(2)
        with torch.no_grad():
            x.mul_(2)


def test_a_second_derivative_through_the_node_is_refused() -> None:
    (x,) = _inputs(((3,),))
    with from_scratch() as recording:
        loss = (x**3).sum()
    with pytest.raises(NotImplementedError, match=r"create_graph=True.*model\.engine=torch"):
        torch.autograd.grad(in_torchs_graph(recording, loss), x, create_graph=True)


def test_a_changed_array_that_a_derivative_needs_is_noticed() -> None:
    (x,) = _inputs(((3,),))
    factor = torch.ones(3, dtype=torch.float64)
    with from_scratch() as recording:
        loss = (x * factor).sum()
        factor.add_(1)
    with pytest.raises(RuntimeError, match=r"Mul.*changed in place"):
        in_torchs_graph(recording, loss).backward()


def test_a_step_leaves_no_cycle_for_the_garbage_collector() -> None:
    (x,) = _inputs(((3, 4),))
    gc.collect()
    gc.disable()
    try:
        with from_scratch() as recording:
            hidden = F.relu(x * 2)
            noted = weakref.ref(hidden._variable)  # type: ignore[attr-defined]
            loss = in_torchs_graph(recording, hidden.sum())
        loss.backward()
        del hidden, loss, recording
        assert noted() is None
    finally:
        gc.enable()
