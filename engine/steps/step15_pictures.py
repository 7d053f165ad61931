"""Seeing the graph.

A graph is a picture waiting to be drawn: one box for each function, arrows along the calculation. `svg` draws it
without any other program; `dot` writes it for Graphviz. Drawing derivatives shows how they grow.
"""

from __future__ import annotations

import torch

from engine import Variable, grad
from engine import functions as F
from engine.graph_picture import dot, read_graph, svg


def derivative(order: int) -> Variable:
    """A derivative of tanh, with the graph of how it was computed."""
    x = Variable(torch.tensor(1.0), name="x")
    y = F.tanh(x)
    for _ in range(order):
        assert isinstance(y, Variable)
        (y,) = grad(y, [x], create_graph=True)
    assert isinstance(y, Variable)
    return y


def main() -> None:
    print(dot(derivative(1)))
    for order in range(5):
        functions = sum(node.is_function for node in read_graph(derivative(order)).nodes)
        print(f"derivative {order} of tanh: {functions:3d} functions {'#' * functions}")


def test_the_picture_names_what_was_computed() -> None:
    picture = svg(derivative(1))
    assert "Tanh" in picture
    assert "x: ()" in picture


def test_higher_derivatives_have_larger_graphs() -> None:
    sizes = [len(read_graph(derivative(order)).nodes) for order in range(4)]
    assert sizes == sorted(set(sizes))
