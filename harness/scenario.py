"""Scenario files: YAML -> Scenario, one for each combination of `params`; all mistakes of a file at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from harness.errors import did_you_mean
from harness.facts import facts_of
from harness.kind_options import Reader, leaves, options_of
from harness.lints import lint
from harness.model import Scenario, Step, Topology
from harness.quantities import Duration
from harness.references import (
    Environment,
    Namespace,
    Unstated,
    address_of,
    constant,
    escape,
    expand,
    host_namespace,
    refers,
    service_namespace,
)
from harness.step_reading import StepReader
from harness.topology import build_topology, read_topology
from harness.yaml_places import Node, Problems, core_scalar, read_yaml

VERSION = 1
LIMIT = 600.0
MAX_COMBINATIONS = 100


@dataclass(frozen=True, kw_only=True)
class ScenarioFields:
    """A topology, what happens to it step by step, and what must hold in the end."""

    version: int = VERSION
    """The version of the language: 1."""
    scenario: str
    """What it is about, in a few words."""
    about: str = ""
    """What it is for."""
    tags: tuple[str, ...] = ()
    """Words to choose it by."""
    topology: Any = None
    """The hosts and their services: a file's path, or a mapping."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values for {param.NAME}; a list of them makes the scenario once for each."""
    steps: Any = None
    """What is done and expected, in order."""
    checks: Any = None
    """What is judged on everything that happened, at the end."""
    at_least: Any = None
    """How many steps must have been judged for the scenario to pass: `6 steps`."""
    limit: Duration = LIMIT
    """The most time all of it may take."""


KEYS = tuple(option.key for option in options_of(ScenarioFields))
_HINTS = {option.key: option.hint for option in options_of(ScenarioFields)}


def load_scenario(
    path: Path | str,
    *,
    params_override: Mapping[str, Any] | None = None,
    attach: Callable[[Topology | None], Topology] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Scenario]:
    """Load a scenario file.

    Args:
        path: the file.
        params_override: values that take the place of the file's `params`; text is read as YAML reads it.
        attach: finds the topology that really runs, given what the file states; names of both are known then.
        environ: what `{env.NAME}` is looked up in; the process's own unless given.

    Returns:
        One scenario for each combination of parameters; usually one.

    Raises:
        ScenarioError: with every mistake found.

    """
    problems = Problems()
    file = Path(path)
    node = read_yaml(file, problems)
    loaded: list[Scenario] = []
    if node is not None:
        environment = Environment(os.environ if environ is None else environ)
        for params in _combinations(node, params_override or {}, problems):
            given = _Given(file, params, attach, environment)
            scenario = _Loader(given, node, problems).scenario()
            loaded += [scenario] if scenario is not None else []
    problems.raise_if_any()
    return loaded


def _combinations(node: Node, override: Mapping[str, Any], problems: Problems) -> list[dict[str, Any]]:
    stated = node.value.get("params") if node.is_mapping else None
    if stated is None or stated.value is None:
        stated = Node({}, node.place)
    if not stated.is_mapping:
        problems.add(stated, f"params: expected a mapping from names to values, got {stated.shown()}")
        return [{}]
    values = stated.plain()
    for name in override:
        if name not in values:
            problems.add(node.place, f"the scenario has no parameter '{name}'.{did_you_mean(name, values)}")
    for leaf in leaves(stated):
        if isinstance(leaf.value, str) and refers(leaf.value):
            message = f"params: {leaf.shown()} is a reference; values are plain, write it where it is used"
            problems.add(leaf, message)
    for name, value in values.items():
        if value == []:
            problems.add(stated.value[name], f"params: '{name}' has no value to try")
    chosen = {name: core_scalar(v) if isinstance(v, str) else v for name, v in override.items()}
    merged = {**values, **{name: value for name, value in chosen.items() if name in values}}
    lists = [value if isinstance(value, list) else [value] for value in merged.values()]
    found: list[dict[str, Any]] = [dict(zip(merged, one, strict=True)) for one in product(*lists)]
    if len(found) > MAX_COMBINATIONS:
        problems.add(
            stated, f"params: {len(found)} combinations are more than the {MAX_COMBINATIONS} allowed"
        )
    return found[:MAX_COMBINATIONS]


@dataclass(frozen=True, slots=True)
class _Given:
    """What a scenario is loaded with."""

    file: Path
    params: Mapping[str, Any]
    attach: Callable[[Topology | None], Topology] | None
    environment: Environment


class _Loader:
    """Loads one combination."""

    def __init__(self, given: _Given, node: Node, problems: Problems) -> None:
        self._given = given
        self._node = node
        self._problems = problems
        params = Namespace("there is no parameter", _constants(escape(dict(given.params))))
        self._outer = Namespace("nothing is called", _constants({"env": given.environment, "param": params}))

    def scenario(self) -> Scenario | None:
        """The scenario; None if it is mistaken."""
        node, before = self._node, len(self._problems.found)
        if not node.is_mapping:
            self._problems.add(
                node, f"a scenario is a mapping that begins with 'scenario:', got {node.shown()}"
            )
            return None
        for key in node.value:
            if key not in KEYS:
                self._problems.unknown_key(node.keys[key], key, KEYS, "a scenario")
        stated = self._topology()
        attach = self._given.attach
        topology = stated if attach is None or len(self._problems.found) > before else attach(stated)
        if "steps" not in node.value and "checks" not in node.value:
            self._problems.add(node, "the scenario has neither steps nor checks")
            return None
        if topology is None:
            self._steps(Unstated("", self._outer.all()), lambda _: None)
            return None
        return self._with_steps(topology, stated, before)

    def _steps(
        self, scope: Namespace, names: Callable[[str], tuple[str, ...] | None]
    ) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        reader = StepReader(Reader(self._problems, names), scope)
        return reader.steps(self._given_node("steps")), reader.checks(self._given_node("checks"))

    def _with_steps(self, topology: Topology, stated: Topology | None, before: int) -> Scenario | None:
        scope = scope_of(topology, self._outer)
        names = known_names(*(t for t in (topology, stated) if t is not None))
        steps, checks = self._steps(scope, names)
        scenario = Scenario(
            name=" ".join(str(self._plain("scenario", required=True) or "").split()),
            file=self._node.place.file,
            id=scenario_id(self._given.file, self._given.params),
            topology=topology,
            steps=steps,
            checks=checks,
            about=" ".join(str(self._plain("about") or "").split()),
            tags=self._plain("tags") or (),
            params=dict(self._given.params),
            at_least=self._at_least(),
            limit=self._plain("limit") or LIMIT,
        )
        self._check_version()
        lint(scenario, facts_of(topology), self._node, self._problems)
        return scenario if len(self._problems.found) == before else None

    def _given_node(self, key: str) -> Node:
        node = self._node.value.get(key)
        return Node((), self._node.place) if node is None else node

    def _plain(self, key: str, *, required: bool = False) -> Any:
        if key not in self._node.value:
            if required:
                self._problems.add(
                    self._node, f"the scenario needs '{key}': what it is about, in a few words"
                )
            return None
        reader = Reader(self._problems, lambda _: None)
        return reader.value(_HINTS[key], expand(self._node.value[key], self._outer, self._problems), key)

    def _check_version(self) -> None:
        version = self._plain("version")
        if version is not None and version != VERSION:
            message = f"version {version} of the scenario language is not known; this muster speaks {VERSION}"
            self._problems.add(self._node.value["version"], message)

    def _at_least(self) -> int | None:
        node = self._node.value.get("at_least")
        if node is None:
            return None
        match = re.fullmatch(r"\s*([0-9]{1,6})(\s+steps?)?\s*", str(node.value))
        if match is None or isinstance(node.value, bool):
            self._problems.add(
                node, f"at_least: expected a number of steps like '6 steps', got {node.shown()}"
            )
            return None
        return int(match[1])

    def _topology(self) -> Topology | None:
        node = self._node.value.get("topology")
        if node is None:
            if self._given.attach is None:
                self._problems.add(
                    self._node, "the scenario needs 'topology': a file's path, or hosts and services"
                )
            return None
        folder = self._given.file.resolve().parent
        if node.is_mapping:
            return build_topology(node, self._problems, self._outer, (folder,), node.place.file)
        named = expand(node, self._outer, self._problems)
        if not isinstance(named.value, str):
            self._problems.add(node, f"topology: expected a path or a mapping, got {named.shown()}")
            return None
        return self._topology_file(folder / named.value, node)

    def _topology_file(self, path: Path, node: Node) -> Topology | None:
        file = Path(os.path.normpath(path))
        if not file.is_file():
            near = did_you_mean(file.name, (p.name for p in file.parent.glob("*.yaml")))
            self._problems.add(node, f"topology: there is no file {node.value}.{near}")
            return None
        return read_topology(file, self._problems, self._outer, (self._given.file.resolve().parent,))


def _constants(values: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    return {name: constant(value) for name, value in values.items()}


def scope_of(topology: Topology, outer: Namespace) -> Namespace:
    """What a scenario's steps may refer to."""
    facts = facts_of(topology)
    lists = {
        "models": facts.models(),
        "registered": facts.registered(),
        "serving": tuple(facts.offers()),
    }
    return Namespace(
        "nothing is called",
        _constants({service.name: service_namespace(service) for service in topology.services}),
        _constants({host.name: host_namespace(host.name, address_of(host.name)) for host in topology.hosts}),
        _constants({"topology": Namespace("a topology has no list", _constants(lists))}),
        outer.all(),
    )


def known_names(*topologies: Topology) -> Callable[[str], tuple[str, ...] | None]:
    """Which names of a sort exist; None where nobody knows."""
    services = [service for topology in topologies for service in topology.services]
    facts = [facts_of(topology) for topology in topologies]
    hosts = [host.name for topology in topologies for host in topology.hosts]
    names = [service.name for service in services]
    children = [f"{service.name}.{service.child}" for service in services if service.child]
    table = {
        "service": names,
        "host": hosts,
        "service or host": names + hosts,
        "target": names + hosts + children,
        "registered name": [name for f in facts for name in f.registered()],
        "model": [model for f in facts for model in f.models()],
    }
    return lambda what: tuple(dict.fromkeys(table[what])) if table.get(what) else None


def scenario_id(file: Path, params: Mapping[str, Any]) -> str:
    """A name for folders: `discovery.two_servers`, with the parameters of a combination in brackets."""
    parts = list(file.resolve().parts)
    below = parts[len(parts) - parts[::-1].index("scenarios") :] if "scenarios" in parts else parts[-1:]
    stem = ".".join(below).removesuffix(".yaml").removesuffix(".yml").removesuffix(".scenario")
    chosen = ",".join(f"{name}={value}" for name, value in params.items())
    return re.sub(r"[^A-Za-z0-9._=,\[\]-]+", "-", f"{stem}[{chosen}]" if chosen else stem)
