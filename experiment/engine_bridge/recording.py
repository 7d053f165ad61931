"""A torch network's own calculation, recorded by the engine: below torch's differentiation, operation by operation.

While `from_scratch` is on, torch's autograd is switched off (its dispatch keys are left out), and every operation that
the network's code calls arrives here, with ordinary tensors. A tensor through which a gradient may pass carries the
engine's Variable of the same numbers. An operation on such tensors is translated into the engine's functions, which
compute the result and record themselves; all others run as they are. So a network needs no change, and whatever else
a step does with tensors (metrics, targets, logs) sees ordinary ones.

What is not in the table of translations is taken apart by torch's own definitions, into operations that are; where
that ends, torch computes the value, and a reverse pass that needs the derivative is refused with the operation's name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.autograd.graph import increment_version
from torch.utils._python_dispatch import TorchDispatchMode

from engine import Array, Function, Value, Variable
from engine import functions as F
from engine.functions.elementwise import constant
from experiment.engine_bridge import (  # noqa: F401 - they fill the table
    elementwise_operations,
    layer_operations,
    loss_operations,
    recurrent_operations,
    shape_operations,
)
from experiment.engine_bridge.operation_table import CONSTANT, TRANSLATIONS, Translation
from experiment.engine_bridge.shared_memory import SharedMemory, renew, with_part


class Missing(Function):
    """An operation that the engine lacks: torch computed its outputs, and its derivative is refused."""

    def __init__(self, name: str, outputs: tuple[Array, ...]) -> None:
        self.name = name
        self.computed = outputs

    def forward(self, *arrays: Array) -> tuple[Array, ...]:
        return self.computed

    def backward(self, gy: Value) -> Value:
        raise lacking(self.name)


def lacking(name: str) -> NotImplementedError:
    """The refusal of an operation."""
    return NotImplementedError(
        f"model.engine=scratch: the engine has no derivative of {name}; train with model.engine=torch, or give the"
        " operation a translation in experiment/engine_bridge"
    )


class Plan(NamedTuple):
    """How an operation on Variables is carried out: translated, by its definition, or by torch and without gradient."""

    translation: Translation | None = None
    definition: Callable[..., Any] | None = None  # of an operation in place: the same operation out of place
    is_in_place: bool = False
    is_constant: bool = False


@cache
def plan_of(operation: Any) -> Plan:
    """Look an operation up, once."""
    name = operation._opname
    if name in CONSTANT:
        return Plan(is_constant=True)
    if operation._schema.is_mutable:
        twin = getattr(torch.ops.aten, name.removesuffix("_"), None) if name.endswith("_") else None
        return Plan(definition=getattr(twin, operation._overloadname, None), is_in_place=True)
    translation = TRANSLATIONS.get(f"{name}.{operation._overloadname}") or TRANSLATIONS.get(name)
    if translation is not None:
        return Plan(translation)
    return Plan(definition=operation.decompose if operation._can_decompose() else decomposition_table.get(operation))


class Recording(TorchDispatchMode):
    """Translates and records. The leaves are the tensors that require a gradient, each with its Variable."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.leaves: dict[int, tuple[Tensor, Variable]] = {}
        self.memory = SharedMemory()
        self.taken_apart: str | None = None  # the operation that the network's code called, for messages

    def variable_of(self, tensor: Tensor) -> Variable | None:
        """The Variable that a tensor carries, or that it is a leaf of."""
        if not tensor.requires_grad:
            return getattr(tensor, "_variable", None)
        if tensor.grad_fn is not None:
            raise lacking(tensor.grad_fn.name())
        if id(tensor) not in self.leaves:
            self.leaves[id(tensor)] = (tensor, Variable(tensor.detach()))
        return self.leaves[id(tensor)][1]

    def value_of(self, tensor: Tensor) -> Value:
        """A tensor's Variable, or its numbers where it has none."""
        variable = self.variable_of(tensor)
        return torch.ops.aten.alias.default(tensor) if variable is None else variable

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        variables: list[Variable] = []
        if torch.is_grad_enabled():
            values = self._values(args, variables)
            options = {name: self._values(value, variables) for name, value in kwargs.items()}
        plan = plan_of(operation) if variables else None
        if plan is None or plan.is_constant:
            return self._run(operation, args, kwargs)
        if plan.is_in_place:
            if plan.definition is None:
                raise lacking(operation.name())
            return self._overwrite(args[0], self.__torch_dispatch__(plan.definition, types, args, kwargs))
        if plan.translation is not None:
            result = _tensors(plan.translation(*values, **options))
        elif plan.definition is not None:
            result = self._take_apart(operation, plan.definition, args, kwargs)
        else:
            computed = operation(*args, **kwargs)
            outputs = (computed,) if isinstance(computed, Tensor) else tuple(computed)
            recorded = _tensors(Missing(self.taken_apart or operation.name(), outputs).apply(*variables))
            result = recorded[0] if isinstance(computed, Tensor) else recorded
        if operation.is_view:
            self.memory.note(args[0], result)
        return result

    def _take_apart(
        self, operation: Any, definition: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        outermost, self.taken_apart = self.taken_apart, self.taken_apart or operation.name()
        try:
            with self:
                return definition(*args, **kwargs)
        finally:
            self.taken_apart = outermost

    def _run(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation through which no gradient passes, as it is."""
        result = operation(*args, **kwargs)
        if operation.is_view:
            self.memory.note(args[0], result)
        elif operation._schema.is_mutable and isinstance(args[0], Tensor):
            # A function that saved the array shall notice.
            increment_version(args[0])
            if operation._opname == "detach_":
                args[0].__dict__.pop("_variable", None)
        return result

    def _overwrite(self, x: Tensor, result: Tensor) -> Tensor:
        """Let x, and what shares its memory, become what an operation in place makes of it."""
        if x.requires_grad:
            raise RuntimeError(
                "a parameter is changed in place where gradients are recorded; do it under torch.no_grad"
            )
        value = self.value_of(result)
        if value.dtype != x.dtype or value.shape != x.shape:
            value = F.broadcast_to(F.cast(value, x.dtype), x.shape)
        others = self.memory.others(x)
        if others:
            before = [(other, self.value_of(other)) for other in others]
            renew([x, *others])
            self.memory.note(x, others)
            x.copy_(constant(value))
            for other, old in before:
                _tag(other, _moved_to(other, with_part(old, other, value, x)))
            _tag(x, _moved_to(x, value))
        else:
            # Not copied into place: a function may have saved what was there.
            x.set_(torch.ops.aten.alias.default(constant(value)))
            _tag(x, value)
        return x

    def _values(self, argument: Any, variables: list[Variable]) -> Any:
        """The argument with Variables in place of the tensors that have one; they are added to the list."""
        if isinstance(argument, Tensor):
            variable = self.variable_of(argument)
            if variable is None:
                return argument
            variables.append(variable)
            return variable
        if isinstance(argument, (list, tuple)):
            return [self._values(item, variables) for item in argument]
        return argument


def _tensors(value: Any) -> Any:
    """Tensors of the Variables' numbers, each with its Variable where a gradient may pass."""
    if isinstance(value, Variable):
        # A tensor of its own: one that held the Variable that holds it would live until the next garbage collection.
        tensor = torch.ops.aten.alias.default(value.array)
        if value.requires_grad:
            tensor._variable = value
        return tensor
    if isinstance(value, (tuple, list)):
        return tuple([_tensors(item) for item in value])
    return value


def _moved_to(tensor: Tensor, value: Value) -> Value:
    """The value with the tensor's memory for its own: views of one are then views of the other."""
    if isinstance(value, Variable) and value.source is not None:
        return Variable.made_by(torch.ops.aten.alias.default(tensor), value.source)
    return value


def _tag(tensor: Tensor, value: Value) -> None:
    if isinstance(value, Variable) and value.requires_grad:
        tensor._variable = value  # type: ignore[attr-defined]
    else:
        tensor.__dict__.pop("_variable", None)


@contextmanager
def from_scratch() -> Iterator[Recording]:
    """Have everything inside recorded by the engine instead of by torch's autograd."""
    with torch._C._AutoDispatchBelowADInplaceOrView(), Recording() as recording:
        yield recording
