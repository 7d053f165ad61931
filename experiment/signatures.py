"""What a class takes, read from its source: nothing is imported, so that asking costs milliseconds and runs no code."""

import ast
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple


class Scope(NamedTuple):
    """A module's source: the place where the names of an annotation have their meaning."""

    module: str
    file: Path


class ClassSource(NamedTuple):
    """A class and the module that defines it."""

    scope: Scope
    node: ast.ClassDef


class Parameter(NamedTuple):
    """A constructor's parameter; `annotation` is None where the source has none."""

    name: str
    annotation: ast.expr | None
    scope: Scope
    is_required: bool


class Signature(NamedTuple):
    """A constructor's parameters; an open one takes any other keyword too."""

    parameters: dict[str, Parameter]
    is_open: bool


class Binding(NamedTuple):
    """What a name means in a module: the statement that defines it."""

    scope: Scope
    node: ast.ClassDef | ast.FunctionDef | ast.expr


@cache
def find_module(name: str) -> Scope | None:
    """A module's file, without importing it or its package; None where there is none."""
    top, *rest = name.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    for part in rest:
        package = file.parent / part / "__init__.py"
        module = file.parent / f"{part}.py"
        if file.name != "__init__.py":
            return None
        if package.is_file():
            file = package
        elif module.is_file():
            file = module
        else:
            return None
    return Scope(name, file)


@cache
def _top_level_statements(file: Path) -> list[ast.stmt]:
    statements: list[ast.stmt] = []
    pending = list(ast.parse(file.read_bytes()).body)
    while pending:
        statement = pending.pop(0)
        if isinstance(statement, ast.If):
            pending = [*statement.body, *statement.orelse, *pending]
        elif isinstance(statement, ast.Try):
            pending = [*statement.body, *[s for handler in statement.handlers for s in handler.body], *pending]
        else:
            statements.append(statement)
    return statements


def resolve(scope: Scope, name: str) -> Binding | None:
    """What a name means at the top of a module, through its imports; None if the source does not tell."""
    return _resolve(scope, name, frozenset())


def _resolve(scope: Scope, name: str, seen: frozenset[tuple[str, str]]) -> Binding | None:
    if (scope.module, name) in seen:
        return None
    seen |= {(scope.module, name)}
    for statement in _top_level_statements(scope.file):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.name == name:
            return Binding(scope, statement)
        if isinstance(statement, ast.Assign) and any(_is_name(target, name) for target in statement.targets):
            return Binding(scope, statement.value)
        if isinstance(statement, ast.AnnAssign) and _is_name(statement.target, name) and statement.value is not None:
            return Binding(scope, statement.value)
        if (
            isinstance(statement, ast.ImportFrom)
            and (found := _resolve_import(scope, statement, name, seen)) is not None
        ):
            return found
    return None


def _resolve_import(
    scope: Scope, statement: ast.ImportFrom, name: str, seen: frozenset[tuple[str, str]]
) -> Binding | None:
    for alias in statement.names:
        if alias.name != "*" and (alias.asname or alias.name) != name:
            continue
        source = find_module(_imported_module(scope, statement))
        found = _resolve(source, name if alias.name == "*" else alias.name, seen) if source is not None else None
        if found is not None:
            return found
    return None


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _imported_module(scope: Scope, statement: ast.ImportFrom) -> str:
    if statement.level == 0:
        return statement.module or ""
    package = scope.module.split(".")
    if scope.file.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - (statement.level - 1)]
    return ".".join([*package, *([statement.module] if statement.module else [])])


def find_class(target: str) -> ClassSource | None:
    """The class that a dotted path names, through re-exports; None if it names no class."""
    module, _, name = target.rpartition(".")
    scope = find_module(module) if module else None
    binding = resolve(scope, name) if scope is not None else None
    if binding is None or not isinstance(binding.node, ast.ClassDef):
        return None
    return ClassSource(binding.scope, binding.node)


def names_in(module: str) -> list[str]:
    """Public names that a module defines or imports, to choose a suggestion from."""
    scope = find_module(module)
    if scope is None:
        return []
    names: list[str] = []
    for statement in _top_level_statements(scope.file):
        if isinstance(statement, ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in statement.names]
    return [name for name in names if name[:1].isupper()]


def ancestors(source: ClassSource) -> list[ClassSource]:
    """The class and the classes it inherits from, nearest first, as far as their source is found."""
    chain = [source]
    for base in source.node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base
        binding = None
        if isinstance(expression, ast.Name):
            binding = resolve(source.scope, expression.id)
        elif isinstance(expression, ast.Attribute):
            binding = _resolve_attribute(source.scope, expression)
        if binding is not None and isinstance(binding.node, ast.ClassDef):
            chain += ancestors(ClassSource(binding.scope, binding.node))
    return chain


def _resolve_attribute(scope: Scope, expression: ast.Attribute) -> Binding | None:
    dotted = ast.unparse(expression.value)
    for statement in _top_level_statements(scope.file):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if (alias.asname or alias.name) == dotted:
                    module = find_module(alias.name)
                    return resolve(module, expression.attr) if module is not None else None
    return None


def signature_of(source: ClassSource) -> Signature:
    """The keywords a class's constructor takes, its own and those it passes on to its parents."""
    if any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in source.node.bases):
        return fields_of(source)
    parameters: dict[str, Parameter] = {}
    given_by_child: set[str] = set()
    for kind in ancestors(source):
        constructor = method_of(kind, "__init__")
        if constructor is None:
            continue
        for parameter in _own_parameters(constructor, kind.scope):
            if parameter.name not in given_by_child:
                parameters.setdefault(parameter.name, parameter)
        if constructor.args.kwarg is None:
            return Signature(parameters, is_open=False)
        passed = _keywords_passed_on(constructor)
        if passed is None:
            return Signature(parameters, is_open=True)
        given_by_child |= passed
    # No constructor at all takes nothing; one that passes on to a source that was not found may take anything.
    return Signature(parameters, is_open=any(method_of(kind, "__init__") is not None for kind in ancestors(source)))


def _own_parameters(constructor: ast.FunctionDef, scope: Scope) -> list[Parameter]:
    arguments = constructor.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*defaults, *arguments.defaults], strict=True)]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [Parameter(name.arg, name.annotation, scope, is_required=default is None) for name, default in pairs]


def _keywords_passed_on(constructor: ast.FunctionDef) -> set[str] | None:
    """What a constructor itself gives to its parent's where it passes on its other keywords; None if it does not."""
    assert constructor.args.kwarg is not None
    for node in ast.walk(constructor):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
            starred = [keyword.value for keyword in node.keywords if keyword.arg is None]
            if any(_is_name(value, constructor.args.kwarg.arg) for value in starred):
                return {keyword.arg for keyword in node.keywords if keyword.arg is not None}
    return None


def fields_of(source: ClassSource) -> Signature:
    """The fields of a dataclass or a named tuple."""
    parameters = {
        statement.target.id: Parameter(statement.target.id, statement.annotation, source.scope, statement.value is None)
        for statement in source.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }
    return Signature(parameters, is_open=False)


def method_of(source: ClassSource, name: str) -> ast.FunctionDef | None:
    """A method in the class's own body."""
    for statement in source.node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return statement
    return None
