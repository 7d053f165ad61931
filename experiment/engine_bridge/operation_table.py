"""What each of torch's operations is in the engine; the modules beside this one fill the table."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from engine import Value

# Takes an operation's arguments, Variables in place of tensors that a gradient may pass through.
Translation: TypeAlias = Callable[..., Any]
_AnyTranslation = TypeVar("_AnyTranslation", bound=Translation)

TRANSLATIONS: dict[str, Translation] = {}

# Their outputs are floating-point, but change with none of their inputs, or in steps: the derivative is zero.
CONSTANT = frozenset(
    [
        "bernoulli",
        "ceil",
        "detach",
        "detach_",
        "empty_like",
        "eye",
        "floor",
        "full_like",
        "new_empty",
        "new_empty_strided",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones_like",
        "rand_like",
        "randint_like",
        "randn_like",
        "round",
        "sign",
        "trunc",
        "zeros_like",
    ]
)


def translates(*names: str) -> Callable[[_AnyTranslation], _AnyTranslation]:
    """Enter a function in the table, under an operation's name (`add`) or that of one overload (`max.dim`)."""

    def enter(translation: _AnyTranslation) -> _AnyTranslation:
        for name in names:
            assert name not in TRANSLATIONS, name
            TRANSLATIONS[name] = translation
        return translation

    return enter


def axis_of(dim: int, x: Value) -> int:
    """The axis counted from the front."""
    return dim % max(x.ndim, 1)
