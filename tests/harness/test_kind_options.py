"""A kind's fields as options: keys, defaults, descriptions and types, from nothing but the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field

from harness.kind_options import Reader, options_of
from harness.options import RegisteredName, ServiceName
from harness.quantities import Duration, Percent, Rate, Size
from harness.type_words import in_words, quantity_in_words
from harness.yaml_places import Problems, parse_yaml


@dataclass(frozen=True)
class Base:
    """What several kinds share."""

    at: ServiceName = ""
    """Whom it asks."""


@dataclass(frozen=True)
class Kind(Base):
    """A kind."""

    _: KW_ONLY
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long,
    in seconds."""
    names: tuple[RegisteredName, ...] = field(default=("x",), metadata={"doc": "The names."})
    made: int = field(init=False, default=3)


def test_options_are_the_fields() -> None:
    """Inherited ones first, keys from aliases, descriptions from the text below a field or its metadata."""
    assert [(o.key, o.field, o.default, o.about) for o in options_of(Kind)] == [
        ("at", "at", "", "Whom it asks."),
        ("for", "seconds", None, "How long, in seconds."),
        ("names", "names", ("x",), "The names."),
    ]


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "text"),
        (int | None, "a whole number"),
        (Annotated[int, Field(ge=1, le=9)], "a whole number from 1 to 9"),
        (Annotated[int, Field(gt=0, le=9)], "a whole number from 1 to 9"),
        (Annotated[float, Field(gt=0, lt=1)], "a number, above 0 and below 1"),
        (Annotated[Duration, Field(le=60)], "a duration like 5s, at most 60"),
        (Percent, "a share like 10%"),
        (Rate | None, "a rate like 50/s"),
        (Size, "a size like 512M"),
        (Literal["a", "b"], "'a', or 'b'"),
        (int | Literal["auto"] | None, "a whole number, or 'auto'"),
        (tuple[str, ...], "a list, each item text"),
        (tuple[RegisteredName, ...] | Literal["all"], "a list, each item a registered name, or 'all'"),
        (Mapping[str, int], "a mapping"),
        (ServiceName, "the name of a service"),
        (bool, "true or false"),
        (Any, "anything"),
        (Kind, "a mapping"),
        (type(None), "nothing"),
    ],
)
def test_types_in_words(hint: Any, words: str) -> None:
    """What `muster list` shows and a message asks for."""
    assert in_words(hint) == words


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (Duration, 0.25, "0.25 s"),
        (Annotated[Duration | None, Field(gt=0)], 5.0, "5 s"),
        (Percent, 0.1, "10 %"),
        (Rate, 50.0, "50/s"),
        (Size, 1024.0, "1024 bytes"),
        (float, 5.0, ""),
        (Duration | None, None, ""),
    ],
)
def test_quantities_in_words(hint: Any, value: Any, words: str) -> None:
    """A number with its unit, where the type knows one."""
    assert quantity_in_words(hint, value) == words


def _even(value: int) -> int:
    if value % 2:
        msg = f"{value} is odd"
        raise ValueError(msg)
    return value


@dataclass(frozen=True)
class Inner:
    """A part of a kind."""

    size: int = 1


@dataclass(frozen=True)
class Odd:
    """A kind with types of its own."""

    number: Annotated[int, AfterValidator(_even)] = 0
    part: Inner | None = None
    table: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    either: int | tuple[int, ...] = 0


def read(text: str) -> tuple[Any, list[str]]:
    """An `Odd`, and what was complained of."""
    problems = Problems()
    node = parse_yaml(text, "t.yaml", problems)
    assert node is not None
    return Reader(problems, lambda _: None).from_mapping(Odd, node, "odd"), [str(p) for p in problems.found]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("number: 3\n", "t.yaml:1: number: 3 is odd"),
        ("part: {sise: 2}\n", "t.yaml:1: part has no option 'sise'. Did you mean 'size'?"),
        ("part:\n  size: big\n", "t.yaml:2: size: expected a whole number, got 'big'"),
        (
            "table:\n  a: [1]\n  b:\n    - 1\n    - x\n",
            "t.yaml:5: table.b[1]: expected a whole number, got 'x'",
        ),
        ("either: [1, x]\n", "t.yaml:1: either[1]: expected a whole number, got 'x'"),
        (
            "either: true\n",
            "t.yaml:1: either: expected a whole number, or a list, each item a whole number, got true",
        ),
    ],
)
def test_a_wrong_value_is_told_where_it_stands(text: str, told: str) -> None:
    """Validators of a kind's own are heard; in lists and mappings the wrong item is named."""
    assert read(text) == (None, [told])


def test_right_values_of_every_shape() -> None:
    """Nested classes, mappings of lists, one or several."""
    assert read("{number: 2, part: {size: 2}, table: {a: [1]}, either: [1, 2]}\n") == (
        Odd(2, Inner(2), {"a": (1,)}, (1, 2)),
        [],
    )
