"""Quantities as people write them in YAML: `5s`, `10%`, `50/s`, `512M`; each becomes a float in SI units."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_NUMBER = r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"": 1.0, "B": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30}


def parse_duration(value: object) -> float:
    """`"250ms"`, `"5s"`, `"2m"`, `"1h"`, or a number of seconds -> seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = re.fullmatch(_NUMBER + "(ms|s|m|min|h)", str(value))
    if match is None:
        msg = f"'{value}' is not a duration; write it like 250ms, 5s or 2m"
        raise ValueError(msg)
    return float(match[1]) * _SECONDS[match[2]]


def parse_percent(value: object) -> float:
    """`"10%"` or `0.1` -> 0.1; always between 0 and 1."""
    match = re.fullmatch(_NUMBER + "%", str(value))
    share = float(match[1]) / 100 if match else None
    if share is None and isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    if share is None or not 0 <= share <= 1:
        msg = f"'{value}' is not a share; write it like 10% or 0.1"
        raise ValueError(msg)
    return share


def parse_rate(value: object) -> float:
    """`"50/s"` or `"600/m"` -> per second."""
    match = re.fullmatch(_NUMBER + "/(s|m)", str(value))
    if match is None or float(match[1]) <= 0:
        msg = f"'{value}' is not a rate; write it like 50/s"
        raise ValueError(msg)
    return float(match[1]) / _SECONDS[match[2]]


def parse_size(value: object) -> float:
    """`"512M"` or a number of bytes -> bytes."""
    match = re.fullmatch(_NUMBER + "([KMG]?)i?B?", str(value))
    if match is None:
        msg = f"'{value}' is not a size; write it like 512M"
        raise ValueError(msg)
    return float(match[1]) * _BYTES[match[2]]


def _schema(pattern: str, example: str) -> dict[str, Any]:
    return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}], "examples": [example]}


Duration = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema(_schema(r"^\s*[0-9.]+\s*(ms|s|m|min|h)\s*$", "5s"))
]
Percent = Annotated[
    float, BeforeValidator(parse_percent), WithJsonSchema(_schema(r"^\s*[0-9.]+\s*%\s*$", "10%"))
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9.]+\s*/(s|m)\s*$"}),
]
Size = Annotated[
    float, BeforeValidator(parse_size), WithJsonSchema(_schema(r"^\s*[0-9.]+\s*[KMG]?i?B?\s*$", "512M"))
]
