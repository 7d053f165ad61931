"""The rules of CONTRIBUTING.md that a program can judge."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from experiment.entry import CONF_DIR

PROJECT = CONF_DIR.parent
LONGEST_FILE = 300
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "base", "core"}
# A package, and what it may import of this project. The entries may import what they like.
LAYERS = {
    "experiment": {"experiment", "lightning_modules", "datamodules", "engine"},
    "lightning_modules": {"lightning_modules", "datamodules.batches"},
    "datamodules": {"datamodules"},
    "engine": {"engine"},
}
PACKAGES = {*LAYERS, "tests", "benchmarks", "train", "evaluate", "predict", "runs"}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return [path for name in listed.stdout.splitlines() if (path := PROJECT / name).is_file()]


TRACKED = _tracked()
PYTHON = [path for path in TRACKED if path.suffix == ".py"]


def _id(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _is_within(name: str, allowed: set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") or place.startswith(f"{name}.") for place in allowed)


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        (_id(path), name)
        for path in PYTHON
        if path.relative_to(PROJECT).parts[0] == package
        for name in _imports(path)
        if name.split(".")[0] in PACKAGES and not _is_within(name, LAYERS[package])
    }
    assert wrong == set()


def test_a_model_imports_of_another_only_its_network() -> None:
    models = {path.name for path in (PROJECT / "lightning_modules").iterdir() if path.is_dir()}
    wrong = {
        (_id(path), name)
        for path in (PROJECT / "lightning_modules").glob("*/*.py")
        for name in _imports(path)
        if (parts := name.split("."))[0] == "lightning_modules"
        and len(parts) > 2
        and parts[1] in models - {path.parent.name}
        and parts[2] == "module"
    }
    assert wrong == set()


def test_the_engine_does_without_torchs_differentiation() -> None:
    wrong = {
        (_id(path), name)
        for path in (PROJECT / "engine").rglob("*.py")
        for name in _imports(path)
        if "autograd" in name
    }
    assert wrong == set()


def test_a_file_is_named_after_its_content_and_holds_one_idea() -> None:
    assert [_id(path) for path in PYTHON if path.stem in EMPTY_NAMES] == []
    lengths = {_id(path): len(path.read_text().splitlines()) for path in PYTHON}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_a_model_has_one_stem_everywhere() -> None:
    for network in sorted((PROJECT / "lightning_modules").glob("*/network.py")):
        stem = network.parent.name
        assert (network.parent / "module.py").is_file(), stem
        assert (network.parent / "README.md").is_file(), stem
        assert list((CONF_DIR / "model").glob(f"{stem}*.yaml")), stem
        assert list((CONF_DIR / "experiment").glob(f"{stem}_*.yaml")), stem
        assert (PROJECT / "tests" / "lightning_modules" / f"test_{stem}.py").is_file(), stem


@pytest.mark.parametrize("experiment", sorted((CONF_DIR / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_experiment_opens_with_what_it_is_its_command_and_what_to_expect(experiment: Path) -> None:
    header = re.match(
        r"# @package _global_\n# (?P<what>[^\n]+\.)\n(?:# [^\n]+\n)*?#   (?P<command>[^\n]*python train\.py[^\n]*)\n"
        r"# Expected: (?P<expected>[^\n]+)\n",
        experiment.read_text(),
    )
    assert header is not None
    assert f"experiment={experiment.stem}" in header["command"] or experiment.stem == "vgg_digits"
    assert re.search(r"\d", header["expected"])


def test_no_class_takes_a_cfg() -> None:
    wrong = [
        _id(path)
        for path in PYTHON
        if path.relative_to(PROJECT).parts[0] in ("lightning_modules", "datamodules")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.arg) and node.arg in ("cfg", "config", "conf")
    ]
    assert wrong == []


def test_every_tensor_of_a_networks_forward_has_its_shape() -> None:
    wrong = []
    for path in sorted((PROJECT / "lightning_modules").glob("*/network.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "forward":
                annotations = [argument.annotation for argument in node.args.args[1:]] + [node.returns]
                wrong += [(_id(path), node.lineno) for a in annotations if a is None or ast.unparse(a) == "Tensor"]
    assert wrong == []


def test_no_path_of_a_machine_and_no_address_of_an_index_is_tracked() -> None:
    # Written so that this line is not itself one.
    forbidden = re.compile(
        "|".join(
            [
                "/wo" + "rk/",
                "/ro" + "ot/",
                "/ho" + "me/",
                "/t" + "mp/",
                "index" + "-url",
                "py" + "pi.org",
                "/sim" + "ple/",
            ]
        )
    )
    wrong = []
    for path in TRACKED:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        wrong += [(_id(path), match.group()) for match in forbidden.finditer(text)]
    assert wrong == []


def test_the_lock_pins_every_direct_dependency_with_hashes_and_no_address() -> None:
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    direct = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lock = (PROJECT / "requirements.lock").read_text()
    for requirement in direct:
        name = re.match(r"[a-z0-9-]+", requirement)
        assert name is not None
        assert re.search(rf"^{name.group()}==[^\n]+\\\n    --hash=sha256:", lock, flags=re.MULTILINE), requirement
    assert "://" not in lock


def test_a_test_says_its_claim() -> None:
    wrong = [
        (_id(path), node.name)
        for path in PYTHON
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert wrong == []
