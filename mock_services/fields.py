"""The fields of a request, and what is wrong with one: a table of checks; pure."""

from collections.abc import Callable, Mapping
from typing import Any

JSON = dict[str, Any]
Check = Callable[[Any], bool]
Fields = Mapping[str, tuple[Check, bool, str]]
"""Field -> what it must be, whether it must be there, what it must be in words."""


class BadRequest(Exception):
    """A request that the real API would refuse, with the field at fault."""

    def __init__(
        self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.code = code


def check_fields(document: Any, rules: Fields) -> JSON:
    """The request, if each of its fields is as it must be; raises BadRequest with the first that is not."""
    if not isinstance(document, dict):
        msg = "the body must be a JSON object"
        raise BadRequest(msg)
    for field, (fits, required, words) in rules.items():
        value = document.get(field)
        if (value is None and required) or (value is not None and not fits(value)):
            msg = f"{field} must be {words}"
            raise BadRequest(msg, param=field)
    return document


def is_whole(value: Any) -> bool:
    """A whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(least: float, most: float) -> Check:
    """A number within bounds, both included."""
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and least <= v <= most
