"""The reverse pass: gradients travel from outputs to leaves, the youngest function first.

A function's sequence number is larger than those of all functions behind it. So the youngest of the functions that
have received a gradient cannot receive another one, and a heap of numbers is all the order that is needed: no
recursion, no sorting of the graph. (Reverse accumulation: Griewank and Walther, Evaluating Derivatives, chapter 3.)
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch

from engine.config import using_config
from engine.function import Function
from engine.functions.elementwise import cast as cast_dtype
from engine.functions.elementwise import copy
from engine.functions.shapes import sum_to
from engine.variable import Array, Operand, Value, Variable, as_array

# Called at each step of a pass with the function, its output gradients and the gradients it returned.
Observer: TypeAlias = Callable[[Function, Sequence[Value], Sequence[Value | None]], None]


class ReversePass:
    """One travel from outputs to leaves.

    Args:
        create_graph: compute with Variables, so that the results can be differentiated, instead of with plain arrays.
        retain_graph: leave what the functions saved.
        retain_grad: set `grad` of every living variable on the way.
        observe: is shown each step.
    """

    def __init__(
        self,
        *,
        create_graph: bool = False,
        retain_graph: bool = False,
        retain_grad: bool = False,
        observe: Observer | None = None,
    ) -> None:
        self.create_graph = create_graph
        self.retain_graph = retain_graph or create_graph
        self.retain_grad = retain_grad
        self.observe = observe
        self.heap: list[int] = []
        self.pending: dict[int, tuple[Function, list[Any]]] = {}
        self.leaves: dict[int, _Leaf] = {}
        self.wanted: dict[tuple[int, int], Value | None] = {}  # gradients of inner variables asked for

    def start(self, output: Variable, gradient: Operand | None) -> None:
        """Seed the pass with the gradient of one output."""
        if not output.requires_grad:
            raise RuntimeError(
                "backward from a variable that depends on none that requires a gradient; was it computed under no_grad,"
                " or from constants alone?"
            )
        seed: Value = torch.ones_like(output.array) if gradient is None else cast(Value, gradient)
        if not isinstance(seed, Variable):
            seed = as_array(seed)
        if seed.shape != output.shape:
            raise ValueError(f"the gradient has shape {tuple(seed.shape)}, its variable {tuple(output.shape)}")
        if self.create_graph and not isinstance(seed, Variable):
            seed = output.result_class.made_by(seed, None)
        elif not self.create_graph:
            seed = as_array(seed)
        if output.source is None:
            self.leaves[id(output)] = _Leaf(output, copy(seed))
        else:
            self._reach_function(*output.source, seed)

    def run(self) -> None:
        """Visit functions, youngest first, until every gradient has arrived."""
        while self.heap:
            function, received = self.pending.pop(-heapq.heappop(self.heap))
            # A function that is here for its only output has received a gradient for it.
            gradients = _fill(function, received) if function.output_types else received
            if self.wanted or self.retain_grad:
                self._keep(function, gradients)
            if not function.edges:  # cut off
                continue
            returned = self._differentiate(function, gradients)
            self._send(function, gradients, returned)
            if self.observe is not None:
                self.observe(function, gradients, returned)
            if not self.retain_graph:
                function.free()

    def _keep(self, function: Function, gradients: list[Value]) -> None:
        for index, gradient in enumerate(gradients):
            if (id(function), index) in self.wanted:
                self.wanted[id(function), index] = gradient
            if self.retain_grad and (output := function.outputs[index]()) is not None:
                output.grad = _as_variable(gradient, output)

    def _differentiate(self, function: Function, gradients: list[Value]) -> list[Value | None]:
        saved = function.saved_variables() if self.create_graph else function.saved_arrays()
        result = function.backward(tuple(gradients) if function.output_types else gradients[0], *saved)
        returned = list(result) if isinstance(result, tuple) else [result]
        if len(returned) != len(function.edges):
            raise ValueError(
                f"{function!r}.backward returned {len(returned)} gradients for {len(function.edges)} inputs; return one"
                " for each, None where there is none"
            )
        return returned

    def _send(self, function: Function, gradients: list[Value], returned: list[Value | None]) -> None:
        """Hand on what `backward` returned, each in the shape and dtype of its input."""
        for i, edge in enumerate(function.edges):
            gradient, input_type = returned[i], function.input_types[i]
            if edge is None or gradient is None or input_type is None:
                continue
            shape, dtype = input_type
            if gradient.shape != shape or gradient.dtype != dtype:
                gradient = returned[i] = _fit(gradient, shape, dtype, function, i)
            if not isinstance(edge, Variable):
                self._reach_function(*edge, gradient)
            elif (leaf := self.leaves.get(id(edge))) is None:
                # A leaf owns its gradient: not memory that others may still read.
                others = (*gradients, *(function.saved or ()), *returned[:i])
                is_shared = _memory(gradient) in [_memory(x) for x in others]
                self.leaves[id(edge)] = _Leaf(edge, copy(gradient) if is_shared else gradient)
            elif leaf.is_sum and not self.create_graph:
                leaf.total.add_(gradient)  # in place: nobody else has seen this sum
            else:
                leaf.total = leaf.total + gradient
                leaf.is_sum = True

    def _reach_function(self, function: Function, index: int, gradient: Value) -> None:
        entry = self.pending.get(function.sequence)
        if entry is None:
            entry = self.pending[function.sequence] = (function, [None] * len(function.outputs))
            heapq.heappush(self.heap, -function.sequence)
        received = entry[1]
        before = received[index]
        received[index] = gradient if before is None else before + gradient


@dataclass(slots=True)
class _Leaf:
    """A leaf that the pass has reached, and its gradient so far."""

    variable: Variable
    total: Any
    is_sum: bool = False


def backward(
    output: Variable,
    gradient: Operand | None = None,
    *,
    retain_graph: bool = False,
    retain_grad: bool = False,
    create_graph: bool = False,
    observe: Observer | None = None,
) -> None:
    """Add the gradients of `output` to its leaves (see `Variable.backward`)."""
    travel = ReversePass(create_graph=create_graph, retain_graph=retain_graph, retain_grad=retain_grad, observe=observe)
    with using_config("enable_backprop", create_graph):
        travel.start(output, gradient)
        travel.run()
        for leaf in travel.leaves.values():
            variable, total = leaf.variable, leaf.total
            if variable.grad is not None:
                before: Value = variable.grad if create_graph else as_array(variable.grad)
                total = before + total
            variable.grad = _as_variable(total, variable)


def grad(
    output: Variable,
    inputs: Sequence[Variable],
    gradient: Operand | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> tuple[Variable, ...]:
    """Return the gradients with respect to `inputs`, leaves or not, and leave every `grad` untouched.

    Raises:
        ValueError: the output does not depend on one of the inputs.
    """
    travel = ReversePass(create_graph=create_graph, retain_graph=retain_graph)
    travel.wanted = {(id(x.source[0]), x.source[1]): None for x in inputs if x.source is not None}
    with using_config("enable_backprop", create_graph):
        travel.start(output, gradient)
        travel.run()
    results = []
    for i, x in enumerate(inputs):
        if x.source is None:
            found = travel.leaves[id(x)].total if id(x) in travel.leaves else None
        else:
            found = travel.wanted[id(x.source[0]), x.source[1]]
        if found is None:
            raise ValueError(f"the output does not depend on inputs[{i}] ({x.name or tuple(x.shape)})")
        results.append(_as_variable(found, x))
    return tuple(results)


def functions_behind(output: Variable) -> Iterator[Function]:
    """Every function that the variable depends on, the youngest first."""
    found = {} if output.source is None else {output.source[0].sequence: output.source[0]}
    heap = [-sequence for sequence in found]
    while heap:
        function = found.pop(-heapq.heappop(heap))
        edges = function.edges  # before the receiver may cut them
        yield function
        for edge in edges:
            if isinstance(edge, tuple) and edge[0].sequence not in found:
                found[edge[0].sequence] = edge[0]
                heapq.heappush(heap, -edge[0].sequence)


def _fit(gradient: Value, shape: torch.Size, dtype: torch.dtype, function: Function, position: int) -> Value:
    """Undo broadcasting and promotion: the gradient gets the shape and dtype of its input. The only such place."""
    if gradient.shape != shape:
        if not function.broadcasts:
            raise ValueError(
                f"{function!r}.backward returned a gradient of shape {tuple(gradient.shape)} for input {position} of"
                f" shape {tuple(shape)}; return the input's shape, or set `broadcasts = True`"
            )
        gradient = sum_to(gradient, tuple(shape))
    return gradient if gradient.dtype == dtype else cast_dtype(gradient, dtype)


def _fill(function: Function, received: list[Value | None]) -> list[Value]:
    """The gradients of all outputs; zeros for an output that nobody used."""
    return [
        torch.zeros(shape, dtype=dtype, device=device) if gradient is None else gradient
        for gradient, (shape, dtype, device) in zip(received, function.output_types, strict=True)
    ]


def _as_variable(gradient: Value, like: Variable) -> Variable:
    return gradient if isinstance(gradient, Variable) else like.result_class.made_by(gradient, None)


def _memory(x: Any) -> int:
    array: Array | None = x.array if isinstance(x, Variable) else x if isinstance(x, torch.Tensor) else None
    return 0 if array is None else array.untyped_storage().data_ptr()
