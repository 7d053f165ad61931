"""DeZero's Variable, Parameter and Function: the engine's, with numpy arrays in `data`."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch

import engine
from engine.config import config
from engine.variable import Array, as_array


class Variable(engine.Variable):
    """A variable whose `data` is a numpy array: the engine's own memory, seen by numpy."""

    __slots__ = ()
    __array_priority__ = 200

    def __init__(self, data: Any, name: str | None = None, *, requires_grad: bool | None = None) -> None:
        super().__init__(data if data is None else _numpy_first(data), name, requires_grad=requires_grad)

    @property
    def data(self) -> Any:
        return self.array.numpy(force=True)

    @data.setter
    def data(self, data: Any) -> None:
        self.array = _numpy_first(data)

    @property
    def shape(self) -> Any:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def __repr__(self) -> str:
        return "variable(" + str(self.data).replace("\n", "\n" + " " * 9) + ")"

    def backward(  # type: ignore[override]
        self,
        retain_grad: bool = False,  # noqa: FBT001, FBT002
        create_graph: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Run the reverse pass; as in DeZero the graph stays for another one."""
        super().backward(retain_graph=True, retain_grad=retain_grad, create_graph=create_graph)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: FBT001, FBT002
        return super().sum(axis, keepdims=keepdims)

    def to_cpu(self) -> None:
        self.to("cpu")

    def to_gpu(self) -> None:
        self.to("cuda")


Variable.result_class = Variable


class Parameter(Variable, engine.Parameter):
    """A variable that a layer trains; without data it is lazy."""

    __slots__ = ()

    def __init__(self, data: Any = None, name: str | None = None, *, requires_grad: bool | None = None) -> None:
        super().__init__(data, name, requires_grad=requires_grad)


class Function:
    """An operation written for numpy, as in DeZero: `forward` on arrays, `backward` on variables.

    `backward` finds the variables of the last call in `self.inputs`, and by calling each of `self.outputs`.
    """

    inputs: tuple[Variable, ...]
    outputs: list[Output]

    def __call__(self, *inputs: Any) -> Any:
        self.inputs = tuple(as_variable(x) for x in inputs)
        outputs = [as_variable(y) for y in Recorded(self).apply(*self.inputs)]
        self.outputs = [Output(y) for y in outputs]
        return outputs if len(outputs) > 1 else outputs[0]

    def forward(self, *xs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *gys: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no backward")


class Output:
    """A function's output, made again from its array if it has died; the function alone does not keep its graph."""

    def __init__(self, variable: Variable) -> None:
        self.variable = weakref.ref(variable)
        self.array = variable.array
        self.creator = None if variable.source is None else weakref.ref(variable.source[0])
        self.index = 0 if variable.source is None else variable.source[1]

    def __call__(self) -> Any:
        alive = self.variable()
        if alive is not None:
            return alive
        creator = None if self.creator is None else self.creator()
        return Variable.made_by(self.array, None if creator is None else (creator, self.index))


class Recorded(engine.Function):
    """A function written for numpy, as a node of the engine's graph."""

    def __init__(self, owner: Function) -> None:
        self.owner = owner
        self.label = type(owner).__name__

    def forward(self, *xs: Array) -> Array | tuple[Array, ...]:
        ys = self.owner.forward(*(x.numpy(force=True) for x in xs))
        return tuple(_numpy_first(y) for y in ys) if isinstance(ys, tuple) else _numpy_first(ys)

    def backward(self, gys: Any) -> tuple[Any, ...]:
        gxs = self.owner.backward(*(as_variable(gy) for gy in (gys if isinstance(gys, tuple) else (gys,))))
        gxs = gxs if isinstance(gxs, tuple) else (gxs,)
        return gxs if config.enable_backprop else tuple(None if gx is None else as_array(gx) for gx in gxs)


def as_variable(x: Any) -> Variable:
    """A variable as it is; anything else as a constant."""
    if isinstance(x, Variable):
        return x
    if isinstance(x, engine.Variable):
        variable = Variable.made_by(x.array, x.source)
        assert isinstance(variable, Variable)
        return variable
    return Variable(x, requires_grad=False)


def as_array_of_numpy(x: Any, array_module: Any = np) -> Any:
    """A number as an array."""
    return array_module.array(x) if np.isscalar(x) else x


def _numpy_first(data: Any) -> Array:
    """The data as numpy would read it: a plain number is of double precision."""
    return as_array(data if isinstance(data, (torch.Tensor, engine.Variable)) else np.asarray(data))
