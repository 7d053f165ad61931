"""The engine is an island: it uses torch's arrays, and nothing that differentiates or trains."""

import ast
from pathlib import Path

import pytest

import engine

ROOT = Path(engine.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ALLOWED = {"torch", "numpy", "sklearn.datasets"}
# An example may write its picture to a file.
ALLOWED_IN_EXAMPLES = {*ALLOWED, "torchvision.utils"}
STANDARD = set(__import__("sys").stdlib_module_names)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_arrays_and_the_engine_alone(path):
    names = set(imports(path))
    outside = {name for name in names if name.split(".")[0] not in STANDARD | {"engine"}}
    assert outside <= (ALLOWED_IN_EXAMPLES if path.parent.name == "examples" else ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_asks_torch_for_no_derivative_layer_or_optimiser(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
            assert node.attr not in {"autograd", "nn", "optim", "func", "enable_grad"}, f"line {node.lineno}"


def test_the_engine_proper_imports_no_compatibility_and_no_step():
    for path in FILES:
        if path.relative_to(ROOT).parts[0] not in ("compat", "steps"):
            assert not [name for name in imports(path) if name.startswith(("engine.compat", "engine.steps"))]


def test_no_file_holds_two_ideas():
    assert {path.name: n for path in FILES if (n := len(path.read_text(encoding="utf-8").splitlines())) > 300} == {}
