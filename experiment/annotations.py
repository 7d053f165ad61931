"""Whether a plain value of a configuration can stand where a source's annotation asks for something."""

import ast

from experiment.signatures import Scope, resolve

_SCALARS: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "str": str, "bool": bool}
_SEQUENCES = {"list", "List", "Sequence", "Iterable", "Collection", "tuple", "Tuple", "set", "frozenset"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}
_PATHS = {"Path", "PathLike"}
_UNIONS = {"Union", "Optional"}


def fits(value: object, annotation: ast.expr | None, scope: Scope) -> bool:
    """Whether the value may be passed; what the source does not tell is allowed.

    A node with a `_target_` stands for an instance of some class, which every annotation that names a class accepts.
    """
    match annotation:
        case None:
            return True
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str() as forward_reference):
            return fits(value, ast.parse(forward_reference, mode="eval").body, scope)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return fits(value, left, scope) or fits(value, right, scope)
        case ast.Subscript(value=outer, slice=inner):
            return _fits_generic(value, _last_name(outer), inner, scope)
        case ast.Name(id=name):
            return _fits_name(value, name, scope)
        case ast.Attribute(attr=name):
            return value is not None and _fits_class(value, name)
    return True


def _fits_generic(value: object, outer: str, inner: ast.expr, scope: Scope) -> bool:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer in _UNIONS:
        return (outer == "Optional" and value is None) or any(fits(value, part, scope) for part in parts)
    if outer == "Literal":
        return any(isinstance(p, ast.Constant) and p.value == value and type(p.value) is type(value) for p in parts)
    if outer in ("tuple", "Tuple") and isinstance(value, list):
        if len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is ...:
            return all(fits(item, parts[0], scope) for item in value)
        return len(parts) == len(value) and all(fits(v, p, scope) for v, p in zip(value, parts, strict=True))
    if outer in _SEQUENCES:
        return isinstance(value, list) and all(fits(item, parts[0], scope) for item in value)
    if outer in _MAPPINGS:
        return isinstance(value, dict)
    if outer in ("Annotated", "Final"):
        return fits(value, parts[0], scope)
    return value is None or not isinstance(value, bool | int | float | str)


def _fits_name(value: object, name: str, scope: Scope) -> bool:
    if name in _SCALARS:
        # YAML's 1 is fine for a float, but true is not a number here.
        return isinstance(value, _SCALARS[name]) and (name == "bool" or not isinstance(value, bool))
    if name in _SEQUENCES:
        return isinstance(value, list)
    if name in _MAPPINGS:
        return isinstance(value, dict)
    if name in ("Any", "object"):
        return True
    binding = resolve(scope, name)
    if binding is None:
        return True
    if isinstance(binding.node, ast.expr):
        return fits(value, binding.node, binding.scope)
    return value is not None and _fits_class(value, name)


def _fits_class(value: object, name: str) -> bool:
    if name in _PATHS:
        return isinstance(value, str)
    return not isinstance(value, bool | int | float | str)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def expectation(annotation: ast.expr | None, scope: Scope) -> str:
    """What the annotation asks for, as a user reads it: the choices where there are only so many, else the type."""
    choices = _choices(annotation, scope)
    if choices is not None:
        return f"one of {', '.join(choices)}"
    return "anything" if annotation is None else ast.unparse(annotation)


def _choices(annotation: ast.expr | None, scope: Scope) -> list[str] | None:
    """Every value that fits, if the annotation is made of literals alone."""
    match annotation:
        case ast.Constant(value=None):
            return ["null"]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _all_choices([left, right], scope)
        case ast.Subscript(value=outer, slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            name = _last_name(outer)
            if name == "Literal":
                return [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            if name in _UNIONS:
                return _all_choices([*parts, *([ast.Constant(None)] if name == "Optional" else [])], scope)
        case ast.Name(id=name) if name not in _SCALARS:
            binding = resolve(scope, name)
            if binding is not None and isinstance(binding.node, ast.expr):
                return _choices(binding.node, binding.scope)
    return None


def _all_choices(parts: list[ast.expr], scope: Scope) -> list[str] | None:
    choices: list[str] = []
    for part in parts:
        of_part = _choices(part, scope)
        if of_part is None:
            return None
        choices += [choice for choice in of_part if choice not in choices]
    return choices
