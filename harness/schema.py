"""JSON Schemas of scenario, topology and kind files, derived from the kinds' fields, for editors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.actions import ACTIONS
from harness.checks import CHECKS
from harness.faults import FAULTS
from harness.kind_options import (
    Option,
    adapter,
    dataclass_of,
    options_of,
    takes_list,
    takes_mapping,
)
from harness.kinds import Kinds
from harness.load import LOADS
from harness.quantities import Duration
from harness.scenario import ScenarioFields
from harness.service_kinds import OPTION_TYPES, KindOption, ServiceFields, ServiceKind, ServiceKinds
from harness.step_reading import StepFields
from harness.topology import ADDRESS
from harness.yaml_places import Problems

Schema = dict[str, Any]

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
DIALECT = "http://json-schema.org/draft-07/schema#"
REFERENCE: Schema = {"$ref": "#/definitions/reference"}
VALIDATES = ("type", "pattern", "enum", "const", "anyOf", "$ref")
_REFERENCE: Schema = {
    "type": "string",
    "pattern": r"^\{[^{}]+\}$",
    "description": 'A reference: "{router.url}", "{env.NAME}", "{param.size}", "{topology.models}".',
}


def schemas(kinds: ServiceKinds | None = None) -> dict[str, Schema]:
    """File name -> schema. `kinds` may be used in topologies; the shipped ones unless given."""
    found = list(_loaded(kinds or ServiceKinds((), Problems())))
    return {
        "scenario.schema.json": scenario_schema(found),
        "topology.schema.json": topology_schema(found),
        "kind.schema.json": kind_schema(),
    }


def texts(kinds: ServiceKinds | None = None) -> dict[str, str]:
    """File name -> the file's content."""
    return {
        name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in schemas(kinds).items()
    }


def _loaded(kinds: ServiceKinds) -> Iterable[ServiceKind]:
    return (kind for name in kinds if (kind := kinds.get(name)) is not None)


def scenario_schema(kinds: Iterable[ServiceKind]) -> Schema:
    """The schema of *.scenario.yaml."""
    topology, definitions = _topology_definitions(kinds)
    special: dict[str, Schema] = {
        "topology": {"anyOf": [{"type": "string", "description": "A topology file's path."}, topology]},
        "steps": {"type": "array", "items": {"$ref": "#/definitions/step"}},
        "checks": {"type": "array", "items": {"$ref": "#/definitions/expectation"}},
        "at_least": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+( steps?)?$"}]},
    }
    definitions |= {
        "step": _step(),
        "expectation": {"anyOf": [*_checks(), {"$ref": "#/definitions/never"}]},
        "never": _never(),
        "load": {"anyOf": list(_of_role(LOADS))},
        "fault": {"anyOf": list(_of_role(FAULTS))},
        "reference": _REFERENCE,
    }
    body = object_schema(ScenarioFields, special)
    return {"$schema": DIALECT, "title": "muster scenario", **body, "definitions": definitions}


def topology_schema(kinds: Iterable[ServiceKind]) -> Schema:
    """The schema of a topology file."""
    topology, definitions = _topology_definitions(kinds)
    return {
        "$schema": DIALECT,
        "title": "muster topology",
        **topology,
        "definitions": definitions | {"reference": _REFERENCE},
    }


def kind_schema() -> Schema:
    """The schema of a service kind's file."""
    types = {"enum": list(OPTION_TYPES), "description": "What the option takes."}
    option = object_schema(KindOption, {"type": types})
    extra = {
        "kind": {"type": "string", "description": "The kind's name; the file is called after it."},
        "about": {"type": "string", "description": "What the service is."},
        "options": {"type": "object", "additionalProperties": option, "description": "Its options."},
    }
    body = object_schema(ServiceFields)
    return {
        "$schema": DIALECT,
        "title": "muster service kind",
        **body,
        "properties": extra | body["properties"],
        "required": ["kind"],
        "definitions": {"reference": _REFERENCE},
    }


def object_schema(cls: type, special: Mapping[str, Schema] | None = None) -> Schema:
    """A mapping with a class's options; `special` are schemas of options whose type does not say enough."""
    options = options_of(cls)
    properties = {o.key: described(o, (special or {}).get(o.key)) for o in options}
    return {
        "type": "object",
        "description": _about(cls),
        "properties": properties,
        "required": [option.key for option in options if option.required],
        "additionalProperties": False,
    }


def _about(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split("```")[0].split())


def described(option: Option, schema: Schema | None = None) -> Schema:
    """An option's schema with its description and default."""
    found = schema_of(option.hint) if schema is None else schema
    if option.about:
        found = {"description": option.about, **found}
    simple = isinstance(option.default, (str, int, float, bool)) and option.default != ""
    return {**found, "default": option.default} if simple else found


def schema_of(hint: Any) -> Schema:
    """A type's schema; wherever text does not fit, a reference does."""
    cls = dataclass_of(hint)
    if cls is not None:
        return object_schema(cls)
    schema = adapter(hint).json_schema()
    schema.pop("title", None)
    if takes_list(hint):
        items = [alternative["items"] for alternative in _alternatives(schema) if "items" in alternative]
        schema = {"anyOf": [schema, *items]}
    return _or_reference(_with_references(schema))


def _alternatives(schema: Schema) -> list[Schema]:
    return (
        [inner for one in schema["anyOf"] for inner in _alternatives(one)] if "anyOf" in schema else [schema]
    )


def _with_references(schema: Schema) -> Schema:
    """The schema, with references allowed for items and values within."""
    found = dict(schema)
    if "anyOf" in schema:
        found["anyOf"] = [_with_references(one) for one in schema["anyOf"]]
    for inside in ("items", "additionalProperties"):
        if isinstance(schema.get(inside), dict):
            found[inside] = _or_reference(_with_references(schema[inside]))
    return found


def _or_reference(schema: Schema) -> Schema:
    alternatives = _alternatives(schema)
    plain: tuple[Schema, ...] = ({}, {"type": "string"})
    if any({key: one[key] for key in one if key in VALIDATES} in plain for one in alternatives):
        return schema
    return {"anyOf": [*(alternatives if schema.keys() == {"anyOf"} else [schema]), REFERENCE]}


def _of_role(kinds: Kinds[Any], timing: Mapping[str, Schema] | None = None) -> Iterable[Schema]:
    for name in kinds:
        try:
            cls = kinds[name]
        except (ImportError, AttributeError):
            continue
        yield _kind(name, cls, timing or {})


def _kind(name: str, cls: type, timing: Mapping[str, Schema]) -> Schema:
    """`{name: main option, other options beside it}`, all options below the name, or the name alone."""
    options = options_of(cls)
    others = {option.key: described(option) for option in options[1:]}
    mapping = {
        "type": "object",
        "description": _about(cls),
        "properties": {name: short_form(cls), **timing, **others},
        "required": [name],
        "additionalProperties": False,
    }
    if any(option.required for option in options):
        return mapping
    return {"anyOf": [mapping, {"const": name, "description": _about(cls)}]}


def short_form(cls: type) -> Schema:
    """The main option, or a mapping of all options, or nothing where none is required."""
    options = options_of(cls)
    whole = object_schema(cls)
    forms = [described(options[0])] if options else []
    if options and takes_mapping(options[0].hint):
        forms.append({"type": "object"})
    if not any(option.required for option in options):
        forms.append({"type": "null"})
    return {"description": _about(cls), "anyOf": [*forms, whole]}


def _timing(*words: str) -> dict[str, Schema]:
    about = {
        "within": "Becomes true in this time; judged as soon as it is true, or can no longer become true.",
        "for": "True now, and all the while.",
    }
    return {word: {"description": about[word], **schema_of(Duration)} for word in words}


def _checks() -> Iterable[Schema]:
    return _of_role(CHECKS, _timing("within", "for"))


def _never() -> Schema:
    return {
        "type": "object",
        "description": "At no moment does the check hold.",
        "properties": {"never": {"anyOf": list(_of_role(CHECKS))}, **_timing("for")},
        "required": ["never"],
        "additionalProperties": False,
    }


def _step() -> Schema:
    one = {"$ref": "#/definitions/expectation"}
    special: dict[str, Schema] = {
        "each": {"type": "object", "minProperties": 1, "maxProperties": 1},
        "load": {"$ref": "#/definitions/load"},
        "fault": {"$ref": "#/definitions/fault"},
        "expect": {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]},
        "steps": {"type": "array", "items": {"$ref": "#/definitions/step"}},
    }
    return object_schema(StepFields, special | {name: short_form(ACTIONS[name]) for name in ACTIONS})


def _topology_definitions(kinds: Iterable[ServiceKind]) -> tuple[Schema, dict[str, Schema]]:
    host = {
        "type": ["object", "null"],
        "description": "A host: its services by name.",
        "properties": {ADDRESS: {"type": "string", "description": "Where the host is, in an inventory."}},
        "additionalProperties": {"$ref": "#/definitions/service"},
    }
    topology = {
        "type": "object",
        "properties": {
            "version": {"const": 1},
            "about": {"type": "string", "description": "What the topology is."},
            "hosts": {
                "type": "object",
                "description": "The hosts by name.",
                "minProperties": 1,
                "additionalProperties": {"$ref": "#/definitions/host"},
            },
        },
        "required": ["hosts"],
        "additionalProperties": False,
    }
    return topology, {"host": host, "service": _service(list(kinds))}


def _service(kinds: list[ServiceKind]) -> Schema:
    own: Schema = {
        "type": "object",
        "description": "A kind of your own, from a file kinds/NAME.yaml beside the topology or above.",
        "properties": {"kind": {"type": "string", "not": {"enum": [kind.name for kind in kinds]}}},
        "required": ["kind"],
    }
    return {"anyOf": [*map(_service_of_kind, kinds), _with_name(object_schema(ServiceFields)), own]}


def _with_name(schema: Schema) -> Schema:
    name = {"type": "string", "description": "Its name, where it is a part of another service."}
    return {**schema, "properties": {"name": name, **schema["properties"]}}


def _service_of_kind(kind: ServiceKind) -> Schema:
    fields = object_schema(ServiceFields)["properties"]
    options = {name: _kind_option(option) for name, option in kind.options.items()}
    return _with_name(
        {
            "type": "object",
            "description": kind.about,
            "properties": {"kind": {"const": kind.name, "description": kind.about}, **fields, **options},
            "required": ["kind", *(name for name, option in kind.options.items() if option.required)],
            "additionalProperties": False,
        }
    )


def _kind_option(option: KindOption) -> Schema:
    if option.type == "service":
        return {"description": option.about, "$ref": "#/definitions/service"}
    found = {"description": option.about, **schema_of(OPTION_TYPES[option.type])}
    return found if option.default is None else {**found, "default": option.default}
