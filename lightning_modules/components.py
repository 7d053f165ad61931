"""Parts of a model as its configuration describes them: plain dicts that name a class by `_target_`."""

from typing import Any


def arguments_of(component: dict[str, Any]) -> dict[str, Any]:
    """What the class is called with."""
    return {name: value for name, value in component.items() if name != "_target_"}
