"""Pictures of the graph behind a variable: DOT text for Graphviz, or SVG drawn here."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

from engine.function import Function
from engine.reverse_pass import functions_behind
from engine.variable import Variable, as_array

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 132, 34, 20, 44, 16


class Node(NamedTuple):
    """A box of the picture."""

    key: int
    label: str
    is_function: bool
    level: int  # 0 for the output, growing towards the leaves


class Graph(NamedTuple):
    """Boxes, and arrows in the direction of the calculation."""

    nodes: list[Node]
    arrows: list[tuple[int, int]]


def read_graph(output: Variable) -> Graph:
    """The functions behind a variable, the leaves, and the arrows between them."""
    level: dict[int, int] = {id(output): 0}
    nodes = [Node(id(output), _label(output), is_function=False, level=0)]
    arrows: list[tuple[int, int]] = []
    if output.source is not None:
        level[id(output.source[0])] = 1
        arrows.append((id(output.source[0]), id(output)))
    leaves: dict[int, Variable] = {}
    for function in functions_behind(output):  # youngest first, so every user of a function comes before it
        nodes.append(Node(id(function), _name(function), is_function=True, level=level[id(function)]))
        for target in dict.fromkeys(target for target in function.receivers if target is not None):
            level[id(target)] = max(level.get(id(target), 0), level[id(function)] + 1)
            arrows.append((id(target), id(function)))
            if isinstance(target, Variable):
                leaves[id(target)] = target
    nodes += [Node(key, _label(leaf), is_function=False, level=level[key]) for key, leaf in leaves.items()]
    return Graph(nodes, arrows)


def dot(output: Variable) -> str:
    """The graph in Graphviz's language."""
    graph = read_graph(output)
    lines = ["digraph {"]
    for node in graph.nodes:
        shape = "shape=box, color=lightblue" if node.is_function else "shape=ellipse, color=orange"
        lines.append(f'  {node.key} [label="{node.label}", {shape}, style=filled]')
    return "\n".join([*lines, *(f"  {start} -> {end}" for start, end in graph.arrows), "}"])


def svg(output: Variable) -> str:
    """The graph as a picture: leaves above, the output below, each function under all that it reads."""
    graph = read_graph(output)
    deepest = max(node.level for node in graph.nodes)
    rows: dict[int, list[Node]] = {}
    for node in graph.nodes:
        rows.setdefault(deepest - node.level, []).append(node)
    widest = max(len(row) for row in rows.values()) * (WIDTH + GAP_X)
    place: dict[int, tuple[float, float]] = {}
    for number, row in rows.items():
        for i, node in enumerate(row):
            x = MARGIN + widest / 2 + (i - len(row) / 2) * (WIDTH + GAP_X)
            place[node.key] = (x, MARGIN + number * (HEIGHT + GAP_Y))
    parts = []
    for start, end in graph.arrows:
        (x0, y0), (x1, y1) = place[start], place[end]
        ends = f'x1="{x0 + WIDTH / 2}" y1="{y0 + HEIGHT}" x2="{x1 + WIDTH / 2}" y2="{y1 - 4}"'
        parts.append(f'<line {ends} stroke="#666" marker-end="url(#arrow)"/>')
    for node in graph.nodes:
        x, y = place[node.key]
        fill, corner = ("#cfe8f5", 3) if node.is_function else ("#fbdfa8", 16)
        parts.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{corner}" fill="{fill}" stroke="#666"/>'
        )
        middle = f'x="{x + WIDTH / 2}" y="{y + HEIGHT / 2 + 4}"'
        parts.append(f'<text {middle} text-anchor="middle">{escape(node.label)}</text>')
    size = f'width="{widest + 2 * MARGIN}" height="{deepest * (HEIGHT + GAP_Y) + HEIGHT + 2 * MARGIN}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        '<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
        '<path d="M0,1 L7,4 L0,7 z" fill="#666"/></marker></defs>'
    )
    return "\n".join([head, *parts, "</svg>"])


def save_graph(output: Variable, path: str | Path) -> Path:
    """Write the picture; the ending of the name, .svg or .dot, says which."""
    path = Path(path)
    if path.suffix not in (".svg", ".dot"):
        raise ValueError(f"{path.name} ends neither in .svg nor in .dot, the two that can be written")
    path.write_text(svg(output) if path.suffix == ".svg" else dot(output), encoding="utf-8")
    return path


def _name(function: Function) -> str:
    return str(getattr(function, "label", type(function).__name__))


def _label(variable: Variable) -> str:
    array = as_array(variable)
    name = f"{variable.name}: " if variable.name else ""
    return f"{name}{tuple(array.shape)} {str(array.dtype).removeprefix('torch.')}"
