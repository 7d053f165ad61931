"""Where a key of the composed configuration was written, and what its author may have meant."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str, ...]


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The closest of the candidates as the end of a sentence, or nothing."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.55)
    return f"; did you mean {close[0]}?" if close else ""


def did_you_mean_key(key: str, known: Sequence[str]) -> str:
    """The same for a dotted key: one misspelt beside its siblings, else one known elsewhere (max_epochs).

    A key that other components have, such as `data.num_workers`, is none to suggest in its own place.
    """
    if key in known:
        return " here; other choices of its group have it"
    parent, _, name = key.rpartition(".")
    for is_near in (lambda other: other.rpartition(".")[0] == parent, lambda _: True):
        # Of keys with the same last part the first counts.
        by_name = {other.rpartition(".")[2]: other for other in reversed(known) if is_near(other)}
        if close := difflib.get_close_matches(name, by_name, n=1, cutoff=0.6):
            return f"; did you mean {by_name[close[0]]}?"
    return ""


def dotted_items(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key of a nested dict with its value, the nodes above the leaves included."""
    for name, value in node.items():
        yield f"{prefix}{name}", value
        if isinstance(value, dict):
            yield from dotted_items(value, f"{prefix}{name}.")


def place_of(key: KeyPath, *, conf_dir: Path, choices: dict[str, str], overrides: Sequence[str]) -> str:
    """`conf/model/vgg.yaml:3` or `command line`: the place that sets a key last, nearest parent included.

    Args:
        choices: the chosen option of each group, as Hydra reports them.
        overrides: the command line's.
    """
    for length in range(len(key), 0, -1):
        if place := _place_of_exactly(key[:length], conf_dir=conf_dir, choices=choices, overrides=overrides):
            return place
    return "the configuration"


def _place_of_exactly(key: KeyPath, *, conf_dir: Path, choices: dict[str, str], overrides: Sequence[str]) -> str | None:
    dotted = ".".join(key)
    given = [override.lstrip("+~").split("=", 1)[0] for override in overrides]
    if any(name == dotted or name.startswith(f"{dotted}.") for name in given):
        return "command line"
    for group, choice in reversed(list(choices.items())):
        if group.startswith("hydra/") or not isinstance(choice, str):
            continue
        if place := _search(conf_dir / group / f"{choice}.yaml", key, package=group, conf_dir=conf_dir):
            return place
    return _search(conf_dir / "train.yaml", key, package="_global_", conf_dir=conf_dir)


def _search(file: Path, key: KeyPath, *, package: str, conf_dir: Path) -> str | None:
    """The key's line in a file of a group or in those that it inherits from."""
    if not file.is_file():
        return None
    text = file.read_text()
    is_global = package == "_global_" or "@package _global_" in text
    if not is_global and key[0] != package:
        return None
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    inner = key if is_global else key[1:]
    line = _line_of(root, inner)
    if line is not None:
        return f"{file.relative_to(conf_dir.parent)}:{line}"
    for parent in _parents(root):
        if place := _search(file.parent / f"{parent}.yaml", key, package=package, conf_dir=conf_dir):
            return place
    return None


def _parents(root: yaml.Node | None) -> list[str]:
    if not isinstance(root, yaml.MappingNode):
        return []
    for name, value in root.value:
        if name.value == "defaults" and isinstance(value, yaml.SequenceNode):
            return [item.value for item in value.value if isinstance(item, yaml.ScalarNode) and item.value != "_self_"]
    return []


def _line_of(node: yaml.Node | None, key: KeyPath) -> int | None:
    line = None
    for part in key:
        if not isinstance(node, yaml.MappingNode):
            return None
        found = next(((name, value) for name, value in node.value if name.value == part), None)
        if found is None:
            return None
        name, node = found
        line = name.start_mark.line + 1
    return line
