"""What DeZero keeps in `utils`: pictures, checks, sizes."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from engine.compat.dezero.datasets import data_file
from engine.compat.dezero.variable import Variable, as_variable
from engine.config import no_grad
from engine.graph_picture import dot, save_graph
from engine.variable import as_array

# ruff: noqa: FBT001, FBT002, ARG001 - DeZero's signatures


def get_dot_graph(output: Variable, verbose: bool = True) -> str:
    """The graph in Graphviz's language."""
    return dot(output)


def plot_dot_graph(output: Variable, verbose: bool = True, to_file: str = "graph.png") -> Path:
    """Draw the graph. Without Graphviz a picture other than .svg and .dot becomes an .svg, with a warning."""
    path = Path(to_file)
    if path.suffix in (".svg", ".dot"):
        return save_graph(output, path)
    program = shutil.which("dot")
    if program is None:
        warnings.warn(f"Graphviz is not installed: {path.with_suffix('.svg')} instead of {path.name}", stacklevel=2)
        return save_graph(output, path.with_suffix(".svg"))
    subprocess.run([program, "-T", path.suffix[1:], "-o", str(path)], input=dot(output), text=True, check=True)
    return path


def numerical_grad(f: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """The derivative of the sum of f(x) by central differences of 1e-4, as in DeZero."""
    array = np.array(as_variable(x).data, dtype=np.float64)
    gradient = np.zeros_like(array)
    with no_grad():
        for index in np.ndindex(array.shape):
            before = array[index]
            sums = []
            for value in (before + 1e-4, before - 1e-4):
                array[index] = value
                sums.append(float(as_array(f(Variable(array), *args, **kwargs)).double().sum()))
            array[index] = before
            gradient[index] = (sums[0] - sums[1]) / 2e-4
    return gradient


def gradient_check(f: Any, x: Any, *args: Any, rtol: float = 1e-4, atol: float = 1e-5, **kwargs: Any) -> bool:
    """Whether the gradient of f's sum in x is that of differences; if not, both are printed."""
    leaf = Variable(np.array(as_variable(x).data, dtype=np.float64))
    expected = numerical_grad(f, leaf, *args, **kwargs)
    f(leaf, *args, **kwargs).backward()
    assert leaf.grad is not None
    if array_allclose(leaf.grad, expected, rtol=rtol, atol=atol):
        return True
    print(f"gradient by differences:\n{expected}\ngradient by backward:\n{leaf.grad.data}")
    return False


def array_equal(a: Any, b: Any) -> bool:
    """Whether two arrays have the same shape and elements."""
    return bool(np.array_equal(as_variable(a).data, as_variable(b).data))


def array_allclose(a: Any, b: Any, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two arrays are nearly equal."""
    return bool(np.allclose(as_variable(a).data, as_variable(b).data, rtol=rtol, atol=atol))


def get_conv_outsize(input_size: int, kernel_size: int, stride: int, pad: int) -> int:
    """How many windows fit along an axis."""
    return (input_size + 2 * pad - kernel_size) // stride + 1


def get_deconv_outsize(size: int, k: int, s: int, p: int) -> int:
    """The smallest axis on which that many windows fit."""
    return s * (size - 1) + k - 2 * p


def get_file(url: str, file_name: str | None = None) -> str:
    """The file of that name under FIRSTHAND_DATA; nothing is downloaded."""
    return str(data_file(file_name or url.rsplit("/", 1)[-1]))
