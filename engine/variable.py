"""Variable: an array that remembers which function made it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from engine.function import Function
    from engine.functions.reductions import Axis

Array: TypeAlias = torch.Tensor  # storage, device and arithmetic only: it never requires grad
Source: TypeAlias = "tuple[Function, int]"  # a function and the number of one of its outputs


def as_array(data: Any) -> Array:
    """The data as a tensor outside torch's own differentiation; numpy arrays share their memory, dtypes stay."""
    if isinstance(data, Variable):
        return data.array
    if isinstance(data, torch.Tensor):
        return data.detach() if data.requires_grad else data
    if isinstance(data, np.generic):
        return torch.from_numpy(np.array(data))
    if isinstance(data, np.ndarray):
        # torch knows no negative strides and warns of arrays that may not be written to.
        return torch.from_numpy(data if data.flags.writeable and min((*data.strides, 0)) >= 0 else data.copy())
    return torch.as_tensor(data)


class Variable:
    """A box around an array, and a node's end in the graph that calculation draws (define-by-run).

    Args:
        data: a tensor, a numpy array, a number or nested lists of numbers.
        name: shown in pictures and messages.
        requires_grad: whether a reverse pass gives it a gradient; by default every floating-point array gets one.
    """

    __slots__ = ("__weakref__", "array", "grad", "name", "requires_grad", "source")
    __array_ufunc__ = None  # numpy hands `ndarray + Variable` to Variable.__radd__
    result_class: ClassVar[type[Variable]]  # what functions of this class of variable return

    array: Array
    grad: Variable | None
    name: str | None
    requires_grad: bool
    source: Source | None

    def __init__(self, data: Any, name: str | None = None, *, requires_grad: bool | None = None) -> None:
        array = as_array(data)
        differentiable = array.is_floating_point() or array.is_complex()
        if requires_grad and not differentiable:
            raise ValueError(f"a Variable of {array.dtype} cannot require a gradient; convert it to a float first")
        self.array = array
        self.grad = None
        self.name = name
        self.requires_grad = differentiable if requires_grad is None else requires_grad
        self.source = None

    @classmethod
    def made_by(cls, array: Array, source: Source | None) -> Variable:
        """A variable in the graph (or outside it, without a source), without the constructor's checks."""
        variable = cls.__new__(cls)
        variable.array = array
        variable.grad = None
        variable.name = None
        variable.requires_grad = source is not None
        variable.source = source
        return variable

    @property
    def data(self) -> Any:
        return self.array

    @data.setter
    def data(self, data: Any) -> None:
        self.array = as_array(data)

    @property
    def creator(self) -> Function | None:
        """The function that made this variable; none for a leaf."""
        return None if self.source is None else self.source[0]

    @property
    def generation(self) -> int:
        """0 for a leaf; otherwise it grows along every path of the graph (it is the creator's sequence number)."""
        return 0 if self.source is None else self.source[0].sequence

    @property
    def shape(self) -> torch.Size:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.numel()

    @property
    def dtype(self) -> torch.dtype:
        return self.array.dtype

    @property
    def device(self) -> torch.device:
        return self.array.device

    def item(self) -> float:
        return self.array.item()

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        text = str(self.array).removeprefix("tensor(").removesuffix(")").replace("\n", "\n" + " " * 2)
        return f"variable({text})"

    def __bool__(self) -> bool:
        return bool(self.array)

    def cleargrad(self) -> None:
        self.grad = None

    def unchain(self) -> None:
        """Forget the creator: the reverse pass ends here, also that of what was computed from this variable before."""
        if self.source is not None:
            self.source[0].cut()
        self.source = None

    def unchain_backward(self) -> None:
        """Cut the whole graph behind this variable (truncated back-propagation through time)."""
        from engine.reverse_pass import functions_behind

        for function in functions_behind(self):
            function.cut()
        self.unchain()

    def backward(
        self,
        gradient: Operand | None = None,
        *,
        retain_graph: bool = False,
        retain_grad: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the derivative of this variable to `grad` of every leaf that it depends on.

        Args:
            gradient: what the result is multiplied with (the derivative of something later); ones by default.
            retain_graph: keep what the functions saved, for another pass.
            retain_grad: give also the variables between a `grad`, as long as they are alive.
            create_graph: record the pass itself, so that the gradients can be differentiated.
        """
        from engine.reverse_pass import backward

        backward(
            self,
            gradient,
            retain_graph=retain_graph or create_graph,
            retain_grad=retain_grad,
            create_graph=create_graph,
        )

    def to(self, device: torch.device | str) -> None:
        """Move the array of a leaf, and its gradient, to a device."""
        if self.source is not None:
            raise ValueError("only a leaf can be moved; move the variables it was computed from")
        self.array = self.array.to(device)
        if self.grad is not None:
            self.grad = self.result_class.made_by(self.grad.array.to(device), None)

    # Shapes and reductions
    def reshape(self, *shape: Any) -> Value:
        return F.reshape(self, shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)

    def transpose(self, *axes: Any) -> Value:
        return F.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    @property
    def T(self) -> Value:  # noqa: N802 - numpy's and torch's name
        return F.transpose(self)

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Value:
        return F.sum(self, axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Value:
        return F.mean(self, axis, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Value:
        return F.max(self, axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Value:
        return F.min(self, axis, keepdims=keepdims)

    def matmul(self, other: Operand) -> Value:
        return F.matmul(self, other)

    dot = matmul

    def __getitem__(self, index: Any) -> Value:
        return F.get_item(self, index)

    # Operators, with numbers, numpy arrays and tensors on either side
    def __add__(self, other: Operand) -> Value:
        return F.add(self, other)

    __radd__ = __add__

    def __mul__(self, other: Operand) -> Value:
        return F.mul(self, other)

    __rmul__ = __mul__

    def __sub__(self, other: Operand) -> Value:
        return F.sub(self, other)

    def __rsub__(self, other: Operand) -> Value:
        return F.sub(other, self)

    def __truediv__(self, other: Operand) -> Value:
        return F.div(self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return F.div(other, self)

    def __pow__(self, other: Operand) -> Value:
        return F.pow(self, other)

    def __rpow__(self, other: Operand) -> Value:
        return F.pow(other, self)

    def __matmul__(self, other: Operand) -> Value:
        return F.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Value:
        return F.matmul(other, self)

    def __neg__(self) -> Value:
        return F.neg(self)


Variable.result_class = Variable


class Parameter(Variable):
    """A leaf that a layer trains. Without data it is lazy: its array comes with the first input."""

    __slots__ = ("is_lazy",)

    def __init__(self, data: Any = None, name: str | None = None, *, requires_grad: bool | None = None) -> None:
        super().__init__(torch.empty(0) if data is None else data, name, requires_grad=requires_grad)
        self.is_lazy = data is None

    def initialise(self, array: Array) -> None:
        """Give a lazy parameter its array."""
        self.array = array
        self.is_lazy = False


Value: TypeAlias = Array | Variable  # what a function's formula is written for
Operand: TypeAlias = Value | np.ndarray[Any, Any] | np.generic | float | int
Output: TypeAlias = weakref.ref[Variable]

# Functions are made of Variables, and the operators of Variables are functions: one of the two imports comes last.
from engine import functions as F  # noqa: E402
