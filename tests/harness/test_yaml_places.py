"""YAML with places: the core schema, anchors, and where every value stands."""

from __future__ import annotations

from typing import Any

import pytest

from harness.yaml_places import Node, Problems, parse_yaml


def parsed(text: str) -> Node:
    """The only document of a text without mistakes."""
    problems = Problems()
    node = parse_yaml(text, "t.yaml", problems)
    assert problems.found == []
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0o17", 15),
        ("0x1F", 31),
        ("0012", 12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-11-20", "2026-11-20"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 40, "9" * 40),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("10%", "10%"),
    ],
)
def test_plain_scalars_are_what_people_mean(text: str, value: Any) -> None:
    """Only null, true, false and numbers are not text."""
    found = parsed(f"a: {text}\n").value["a"].value
    assert (found, type(found)) == (value, type(value))


def test_every_value_and_key_has_its_place() -> None:
    """Lines and columns count from one."""
    node = parsed("a:\n  - b: 1\n    c: [x,\n        y]\n")
    inner = node.value["a"].value[0]
    assert (inner.keys["c"].line, inner.keys["c"].column) == (3, 5)
    assert [(x.place.line, x.place.column) for x in inner.value["c"].value] == [(3, 9), (4, 9)]
    assert str(inner.value["b"].place) == "t.yaml:2"


def test_anchors_and_merges() -> None:
    """An alias repeats what it names; << lends keys that are not stated; several lend in order."""
    node = parsed("one: &one {a: 1, b: 2}\ntwo: &two {b: 3}\nalso: *one\nthree: {<<: [*one, *two], a: 9}\n")
    assert node.value["also"].plain() == {"a": 1, "b": 2}
    assert node.value["three"].plain() == {"a": 9, "b": 2}


def test_a_byte_order_mark_is_not_a_key(tmp_path: Any) -> None:
    """Files from Windows editors are read."""
    from harness.yaml_places import read_yaml

    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    problems = Problems()
    node = read_yaml(path, problems)
    assert node is not None
    assert node.plain() == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: *b\n", "t.yaml:1: *b stands for nothing, or for what it is itself a part of"),
        ("a: &b [*b]\n", "t.yaml:1: *b stands for nothing, or for what it is itself a part of"),
        ("a: 1\na: 2\n", "t.yaml:2: 'a' is written twice, first in line 1"),
        ("? [a]\n: 1\n", "t.yaml:1: a key must be text, got a list."),
        ("&k a: 1\n*k : 2\n", "t.yaml:2: 'a' is written twice, first in line 1"),
        (
            "&k {a: 1}: 1\n",
            't.yaml:1: a key must be text, got a mapping. Quote a reference in braces: "{router.url}".',
        ),
        ("a: \ud800", "t.yaml: the text holds characters that UTF-8 does not have"),
        ("a: {<<: 5}\n", "t.yaml:1: << takes mappings, got 5"),
        ("a: !color red\n", "t.yaml:1: the tag !color means nothing here"),
        ("a:\n  - b\n\t- c\n", "t.yaml:3: not valid YAML: a tab; YAML is indented with spaces"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    """What YAML allows and a scenario does not is told with its line."""
    problems = Problems()
    parse_yaml(text, "t.yaml", problems)
    assert [str(problem) for problem in problems.found] == [told]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 57}...'"),
        ("true", "true"),
        ("1.5", "1.5"),
        ("", "nothing"),
        ("[]", "an empty list"),
        ("[1]", "a list"),
        ("{}", "an empty mapping"),
        ("{b: 1}", "a mapping"),
    ],
)
def test_how_a_message_quotes_a_value(text: str, shown: str) -> None:
    """Text in quotes and cut short, everything else by what it is."""
    assert parsed(f"a: {text}\n").value["a"].shown() == shown
