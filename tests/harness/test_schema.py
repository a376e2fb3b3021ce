"""The JSON Schemas: what ships satisfies them, what is wrong does not, and they are as the kinds say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.cli import main
from harness.schema import FOLDER, schemas, texts
from harness.yaml_places import Problems, parse_yaml, read_yaml

SCHEMAS = schemas()
SORTS = {
    "scenario.schema.json": sorted(FOLDER.rglob("*.scenario.yaml")),
    "topology.schema.json": sorted((FOLDER / "topologies").glob("*.yaml")),
    "kind.schema.json": sorted((FOLDER / "kinds").glob("*.yaml")),
}


def errors(name: str, value: Any) -> list[str]:
    """Where a value does not satisfy a schema."""
    validator = jsonschema.Draft7Validator(SCHEMAS[name])
    return [f"{error.json_path}: {error.message[:80]}" for error in validator.iter_errors(value)]


def plain(text: str) -> Any:
    """A YAML text's value."""
    node = parse_yaml(text, "t.yaml", Problems())
    assert node is not None
    return node.plain()


@pytest.mark.parametrize("name", SORTS)
def test_a_schema_is_one(name: str) -> None:
    """The schemas themselves are valid."""
    jsonschema.Draft7Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in SORTS.items() for path in paths])
def test_what_ships_satisfies_its_schema(name: str, path: Path) -> None:
    """Every shipped scenario, topology and kind."""
    node = read_yaml(path, Problems())
    assert node is not None
    assert errors(name, node.plain()) == []


@pytest.mark.parametrize("path", [path for paths in SORTS.values() for path in paths])
def test_what_ships_names_its_schema(path: Path) -> None:
    """The first line leads an editor to the schema, by a path that exists."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).is_file()


@pytest.mark.parametrize(
    "step",
    [
        "{name: a, expect: {registered: all, within: 5s}}",
        "{name: a, expect: [{registered: x}, right_model, {never: {registered: [x]}, for: 2s}]}",
        "{name: a, load: {chat: m, requests: auto}, expect: {availability: 100%}}",
        "{name: a, load: {chat: '{param.m}', requests: '{param.n}', for: '{env.T}'}}",
        "{name: a, fault: {kill: {target: x}}, steps: [{name: b, wait: 1s}]}",
        "{name: a, call: {http: 'http://x', method: POST}}",
        "{name: '{m}', each: {m: '{topology.models}'}, stop: x}",
    ],
)
def test_what_can_be_written(step: str) -> None:
    """The forms of the language are valid."""
    assert errors("scenario.schema.json", plain(f"scenario: s\ntopology: t.yaml\nsteps:\n  - {step}\n")) == []


@pytest.mark.parametrize(
    "step",
    [
        "{wait: 1s}",
        "{name: a, wiat: 1s}",
        "{name: a, wait: soon}",
        "{name: a, expect: {registred: all}}",
        "{name: a, expect: {registered: all, wihtin: 5s}}",
        "{name: a, load: {chat: m, requests: 0}}",
        "{name: a, load: {chat: m, requests: many}}",
        "{name: a, load: {chta: m}}",
        "{name: a, fault: kill}",
        "{name: a, call: {http: x, method: FETCH}}",
    ],
)
def test_what_cannot_be_written(step: str) -> None:
    """An editor underlines a mistyped key, kind or value."""
    assert errors("scenario.schema.json", plain(f"scenario: s\ntopology: t.yaml\nsteps:\n  - {step}\n"))


@pytest.mark.parametrize(
    ("service", "valid"),
    [
        ("{kind: router, registry: '{registry.url}'}", True),
        ("{kind: router}", False),
        ("{kind: router, registry: x, prot: 1}", False),
        ("{kind: babysitter, port: 1, registry: x, backend: {kind: mock-openai, name: n}}", True),
        ("{kind: babysitter, port: 1, registry: x, backend: {kind: mock-openai, modles: n}}", False),
        ("{kind: my-own, whatever: 1}", True),
        ("{command: [a], ports: ['{param.port}'], ready: {http: /x}}", True),
        ("{comand: [a]}", False),
        ("{command: [a], ready: {htp: /x}}", False),
    ],
)
def test_services(service: str, valid: bool) -> None:
    """Options of shipped kinds are known; kinds of one's own are left alone."""
    told = errors("topology.schema.json", plain(f"hosts:\n  h:\n    s: {service}\n"))
    assert (told == []) is valid


def test_descriptions_and_defaults_come_from_the_kinds() -> None:
    """What an editor shows is the docstring below the field."""
    step = SCHEMAS["scenario.schema.json"]["definitions"]["step"]["properties"]
    assert step["limit"]["description"] == "The most time it may take; nested steps inherit it."
    assert step["limit"]["default"] == 60.0
    service = SCHEMAS["topology.schema.json"]["definitions"]["service"]["anyOf"]
    router = next(s for s in service if s["properties"]["kind"].get("const") == "router")
    assert router["properties"]["port"]["default"] == 8000


def test_the_committed_schemas_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    """`muster schema --check` agrees; if not: scripts/generate."""
    assert main(["schema", "--check", str(FOLDER)]) == 0, capsys.readouterr().out


def test_stale_and_missing_schemas_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits 1 and says what to do; --write does it."""
    assert main(["schema", "--write", str(tmp_path)]) == 0
    assert main(["schema", "--check", str(tmp_path)]) == 0
    (tmp_path / "kind.schema.json").write_text("{}", encoding="utf-8")
    capsys.readouterr()
    assert main(["schema", "--check", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert told == f"stale: {tmp_path}/kind.schema.json\nrenew with: muster schema --write {tmp_path}\n"


def test_a_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an option the scenario's schema goes to standard output."""
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == texts()["scenario.schema.json"]
