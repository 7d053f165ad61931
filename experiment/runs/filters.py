"""Conditions on runs as one writes them on a command line: `status=failed`, `val/accuracy>0.9`, `age<2d`."""

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from experiment.failures import Refused

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"^(?P<key>[\w./-]+?)(?P<operator>>=|<=|!=|=|>|<)(?P<value>.*)$")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*([smhdw])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Filter(NamedTuple):
    """One condition."""

    key: str
    operator: str
    value: str

    def holds(self, found: Any) -> bool:
        """Whether a run that has this value under the key meets it; numbers compare as numbers, lists by their items.

        Raises:
            Refused: an order is asked of what is no number.
        """
        if isinstance(found, list):
            is_in = self.value in [str(item) for item in found]
            return is_in if self.operator == "=" else not is_in
        compare = _OPERATORS[self.operator]
        number = _number(self.value)
        if self.operator in ("=", "!="):
            if number is not None and isinstance(found, int | float) and not isinstance(found, bool):
                return compare(float(found), number)
            return compare(_as_written(found), self.value)
        if number is None:
            raise Refused(f"{self.key}{self.operator}{self.value}: {self.value!r} is no number; ages are 30m, 12h, 2d")
        return isinstance(found, int | float) and not isinstance(found, bool) and compare(found, number)


def parse_filter(word: str) -> Filter | None:
    """The condition that a word is; None if it has no operator.

    Raises:
        Refused: there is nothing to compare with.
    """
    if (match := _CONDITION.match(word)) is None:
        return None
    if match["value"] == "":
        raise Refused(f"{word}: a condition ends in a value, as in status=finished, 'val/accuracy>0.9' or 'age<2d'")
    return Filter(match["key"], match["operator"], match["value"])


def _number(text: str) -> float | None:
    if duration := _DURATION.match(text):
        return float(duration[1]) * _SECONDS[duration[2]]
    try:
        return float(text)
    except ValueError:
        return None


def _as_written(value: Any) -> str:
    """As YAML writes it."""
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, dict) else ""
