"""Pictures and traces of graphs."""

from xml.etree import ElementTree

import pytest
import torch

from engine import Variable
from engine import functions as F
from engine.backward_trace import trace_backward
from engine.graph_picture import dot, read_graph, save_graph, svg
from engine.models import MLP


def diamond():
    x = Variable(torch.tensor(2.0), name="x")
    a = F.exp(x)
    return x, F.sin(a) * F.cos(a)


def test_the_graph_has_each_function_and_leaf_once():
    _, y = diamond()
    labels = sorted(node.label for node in read_graph(y).nodes)
    assert labels == ["() float32", "Cos", "Exp", "Mul", "Sin", "x: () float32"]
    assert len(read_graph(y).arrows) == 6


def test_every_function_stands_below_what_it_reads():
    _, y = diamond()
    graph = read_graph(y)
    level = {node.key: node.level for node in graph.nodes}
    assert all(level[start] > level[end] for start, end in graph.arrows)


def test_the_svg_is_well_formed_and_holds_every_box():
    model = MLP([4, 3], in_size=2)
    y = F.sum(model(torch.ones(1, 2)))
    root = ElementTree.fromstring(svg(y))
    boxes = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(read_graph(y).nodes)


def test_dot_has_an_arrow_for_each_edge():
    _, y = diamond()
    assert dot(y).count("->") == 6


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"y\.png ends neither in \.svg nor in \.dot"):
        save_graph(diamond()[1], tmp_path / "y.png")


def test_a_trace_shows_each_step_in_order_and_runs_the_pass():
    x, y = diamond()
    lines = trace_backward(y)
    assert [line.split("#")[0].split()[-1] for line in lines] == ["Mul", "Cos", "Sin", "Exp"]
    assert "to x; frees 4 bytes" in lines[-1]
    assert x.grad is not None
