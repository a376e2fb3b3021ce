"""Steps in words: `chat model-1, at router, requests auto`, `registered a, within 10 s`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.actions import ACTIONS
from harness.checks import CHECKS
from harness.faults import FAULTS
from harness.kind_options import Option, options_of
from harness.kinds import Kinds
from harness.load import LOADS
from harness.model import Expect, Step
from harness.references import resolve_text
from harness.type_words import quantity_in_words

TABLES: Mapping[str, Kinds[Any]] = {"load": LOADS, "fault": FAULTS, **dict.fromkeys(ACTIONS, ACTIONS)}
_ADDRESS = re.compile(r"\{([^{}]+)\.address\}")
SHOWN = 4
"""Items of a list that are shown."""


def does_in_words(step: Step) -> str:
    """What a step does; empty for one that only expects."""
    if not step.does or step.action is None:
        return ""
    return kind_in_words(TABLES[step.does], step.action)


def asks_in_words(expect: Expect) -> str:
    """What an expectation asks."""
    words = kind_in_words(CHECKS, expect.check)
    if expect.never:
        words = f"never: {words}"
    if expect.within is not None:
        words += f", within {expect.within:g} s"
    return words + (f", for {expect.hold:g} s" if expect.hold is not None else "")


def kind_in_words(kinds: Kinds[Any], value: Any) -> str:
    """A kind's name, its main option, and every other option that is not at its default."""
    name = _name_of(kinds, value)
    options = options_of(type(value))
    stated = [(o, v) for o in options if (v := getattr(value, o.field)) != o.default or o is options[0]]
    words = [_option(option, v, main=option is options[0]) for option, v in stated]
    return " ".join([name, ", ".join(word for word in words if word)]).strip()


def _name_of(kinds: Kinds[Any], value: Any) -> str:
    try:
        return kinds.name_of(type(value))
    except StopIteration:
        return type(value).__name__.lower()


def _option(option: Option, value: Any, *, main: bool) -> str:
    if value in ((), None, "", {}):
        return ""
    said = quantity_in_words(option.hint, value) or _value(value)
    return said if main else f"{option.key} {said}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{_value(key)}: {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        more = f" and {len(value) - SHOWN} more" if len(value) > SHOWN + 1 else ""
        return ", ".join(map(_value, value[:SHOWN] if more else value)) + more
    return resolve_text(_ADDRESS.sub(r"\1", value)) if isinstance(value, str) else str(value)
