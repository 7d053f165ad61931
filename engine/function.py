"""Function: one operation, what it keeps for its derivative, and its place in the graph."""

from __future__ import annotations

import copy
import inspect
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch

from engine.config import config
from engine.variable import Array, Operand, Output, Source, Value, Variable, as_array

Edge: TypeAlias = "Source | Variable | None"  # where a gradient goes: a function's output, a leaf, nowhere
InputType: TypeAlias = "tuple[torch.Size, torch.dtype] | None"  # none where no gradient goes
ArrayType: TypeAlias = tuple[torch.Size, torch.dtype, torch.device]

_sequence = itertools.count(1)


class Need(NamedTuple):
    """An argument of `backward` besides the gradient: an input or an output, by position."""

    name: str
    is_output: bool
    position: int
    only_for: int | None  # the input whose gradient alone needs it


class Function:
    """An operation with a derivative.

    A subclass writes two formulas. `forward` takes arrays and returns an array or a tuple of arrays. `backward` takes
    the gradient of the output (of several outputs: a tuple) and whatever it names among the parameters of `forward`
    and the outputs (`y`, or `y0`, `y1`, …), and returns one gradient for each input, or `None`. What it does not name
    is not kept. Both are written with operators and `engine.functions`, which compute on plain arrays and record on
    Variables: so the same `backward` is fast, and differentiable under `create_graph`.

    Attributes:
        broadcasts: the inputs may be smaller than the gradients returned; the reverse pass sums those back.
        only_for: a saved input -> the position of the input whose gradient alone needs it.
    """

    __slots__ = ("__dict__", "__weakref__", "edges", "input_types", "output_types", "outputs", "saved", "versions")

    broadcasts: ClassVar[bool] = False
    only_for: ClassVar[dict[str, int]] = {}
    needs: ClassVar[tuple[Need, ...]] = ()

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    sequence: int = 0  # grows with every recorded function, hence along every path
    edges: Sequence[Edge]
    input_types: Sequence[InputType]
    output_types: tuple[ArrayType, ...]
    outputs: tuple[Output, ...]  # weak: a graph is held by its end alone, so there are no cycles
    saved: tuple[Any, ...] | None  # none after a pass has freed it
    versions: tuple[int, ...]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "forward") and hasattr(cls, "backward"):
            cls.needs = tuple(_needs(cls))

    @property
    def is_recorded(self) -> bool:
        return self.sequence > 0

    def __call__(self, *inputs: Operand) -> Value:
        """Apply a function of one output."""
        return self.apply(*inputs)[0]

    def apply(self, *inputs: Operand) -> tuple[Value, ...]:
        """Compute; when an input is a Variable return Variables, and record when one of them requires a gradient."""
        if self.sequence:  # an instance is one node: applied again, it becomes another
            return self._fresh().apply(*inputs)
        arrays: list[Any] = []
        edges: list[Edge] = []
        types: list[InputType] = []
        result_class: type[Variable] | None = None
        is_needed = False
        for value in inputs:
            edge: Edge = None
            input_type: InputType = None
            if isinstance(value, Variable):
                result_class = result_class or value.result_class
                array: Any = value.array
                if value.requires_grad:
                    is_needed = True
                    edge = value.source or value
                    input_type = array.shape, array.dtype
            else:
                array = value if isinstance(value, (int, float)) else as_array(value)
            arrays.append(array)
            edges.append(edge)
            types.append(input_type)
        output = self.forward(*arrays)
        outputs = output if isinstance(output, tuple) else (output,)
        if result_class is None:
            return outputs
        if not (is_needed and config.enable_backprop):
            return tuple([result_class.made_by(array, None) for array in outputs])
        self.sequence = next(_sequence)
        self.edges = edges
        self.input_types = types
        self.saved = self.versions = ()
        if self.needs:
            self._save(arrays, outputs)
        if len(outputs) == 1:
            self.output_types = ()
            result = result_class.made_by(outputs[0], (self, 0))
            self.outputs = (weakref.ref(result),)
            return (result,)
        self.output_types = tuple([(y.shape, y.dtype, y.device) for y in outputs])
        results = tuple([result_class.made_by(y, (self, i)) for i, y in enumerate(outputs)])
        self.outputs = tuple([weakref.ref(y) for y in results])
        return results

    def _save(self, arrays: list[Any], outputs: tuple[Array, ...]) -> None:
        """Keep what `backward` names."""
        saved = [
            None
            if need.only_for is not None and self.edges[need.only_for] is None
            else (outputs if need.is_output else arrays)[need.position]
            for need in self.needs
        ]
        self.saved = tuple(saved)
        self.versions = tuple([x._version if isinstance(x, torch.Tensor) else 0 for x in saved])

    @property
    def receivers(self) -> tuple[Function | Variable | None, ...]:
        """Where its gradients go, by input: the function that made it, a leaf, or nowhere."""
        return tuple([edge[0] if isinstance(edge, tuple) else edge for edge in self.edges])

    def wants(self, position: int) -> bool:
        """Whether the gradient of this input is of use to anyone; asked in `backward` before costly work."""
        return self.edges[position] is not None

    def saved_arrays(self) -> tuple[Any, ...]:
        """What `backward` named, as it was when it was saved."""
        if self.saved is None:
            raise RuntimeError(
                f"the graph behind {self!r} was freed by an earlier backward; pass retain_graph=True to that one"
            )
        for need, array, version in zip(self.needs, self.saved, self.versions, strict=True) if self.saved else ():
            if isinstance(array, torch.Tensor) and array._version != version:
                raise RuntimeError(
                    f"{self!r} needs {need.name!r} of shape {tuple(array.shape)} for its derivative, but it was changed"
                    f" in place after the function had run (version {array._version}, saved {version}); change a copy,"
                    " or run backward first"
                )
        return self.saved

    def saved_variables(self) -> tuple[Any, ...]:
        """What `backward` named, in its place in the graph, so that the derivative can be differentiated."""
        variables: list[Any] = []
        for need, array in zip(self.needs, self.saved_arrays(), strict=True):
            edge: Edge = (self, need.position) if need.is_output else self.edges[need.position]
            if edge is None or array is None:
                variables.append(array)
                continue
            if not isinstance(edge, Variable):
                variables.append(self.result_class.made_by(array, edge))
            elif edge.array is array:
                variables.append(edge)
            else:
                raise RuntimeError(
                    f"the data of {edge.name or 'a leaf'} was replaced after {self!r} used it, so its gradient has no"
                    " graph to be recorded in; run backward before the data is replaced"
                )
        return tuple(variables)

    @property
    def result_class(self) -> type[Variable]:
        """The class of this function's outputs."""
        for output in self.outputs:
            if (variable := output()) is not None:
                return variable.result_class
        return Variable

    def free(self) -> None:
        """Let go of the saved arrays."""
        self.saved = None

    def cut(self) -> None:
        """Leave the graph: no gradient passes through any more."""
        self.edges = ()
        self.free()

    def _fresh(self) -> Function:
        twin = copy.copy(self)
        twin.sequence = 0
        for slot in Function.__slots__:
            if not slot.startswith("__"):
                delattr(twin, slot)
        return twin

    def __repr__(self) -> str:
        return f"{type(self).__name__}#{self.sequence}" if self.is_recorded else type(self).__name__


def _needs(cls: type[Function]) -> list[Need]:
    inputs = list(inspect.signature(cls.forward).parameters)[1:]
    needs = []
    for name in list(inspect.signature(cls.backward).parameters)[2:]:
        if name in inputs:
            needs.append(Need(name, is_output=False, position=inputs.index(name), only_for=cls.only_for.get(name)))
        elif name == "y" or (name[0] == "y" and name[1:].isdigit()):
            needs.append(Need(name, is_output=True, position=int(name[1:] or 0), only_for=None))
        else:
            raise TypeError(
                f"{cls.__name__}.backward asks for {name!r}, which is neither an input of forward"
                f" ({', '.join(inputs)}) nor an output (y; of several: y0, y1, …)"
            )
    return needs
