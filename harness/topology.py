"""Topologies: hosts and their services, from a file or inline in a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from harness.errors import did_you_mean
from harness.kind_options import Reader
from harness.model import HostSpec, ServiceSpec, Topology
from harness.protocols import PROTOCOLS
from harness.references import Environment, Namespace, address_of, constant, host_namespace
from harness.service_kinds import WORD, ServiceKinds
from harness.service_templates import ServiceTemplate
from harness.yaml_places import Node, Problems, read_yaml

KEYS = ("version", "about", "hosts")
ADDRESS = "address"
"""What stands beside a host's services in an inventory: where the host is."""
RESERVED = ("env", "param", "topology", "host", "name")


def read_topology(
    path: Path, problems: Problems, scope: Namespace, kinds_beside: tuple[Path, ...] = ()
) -> Topology | None:
    """Read a topology file; mistakes are noted. `scope` holds `env` and `param`."""
    node = read_yaml(path, problems)
    if node is None:
        return None
    return build_topology(node, problems, scope, (*kinds_beside, path.resolve().parent), node.place.file)


def load_topology(path: Path, environ: Mapping[str, str]) -> Topology:
    """Read a topology file by itself. ScenarioError holds every mistake."""
    problems = Problems()
    scope = Namespace("nothing is called", {"env": constant(Environment(environ))})
    topology = read_topology(path, problems, scope)
    problems.raise_if_any()
    assert topology is not None, "a topology without problems"
    return topology


def read_inventory(path: Path, environ: Mapping[str, str]) -> Topology:
    """Read an inventory: a topology whose hosts have an `address`. ScenarioError holds every mistake."""
    problems = Problems()
    topology = load_topology(path, environ)
    for host in topology.hosts:
        if not host.address:
            problems.add(
                host.place, f"host '{host.name}' has no address; say where it is (address: 10.0.0.5)"
            )
    problems.raise_if_any()
    assert topology is not None, "a topology without problems"
    return topology


def build_topology(
    node: Node, problems: Problems, scope: Namespace, folders: tuple[Path, ...], stated_by: str
) -> Topology | None:
    """Build a topology from its node; None if anything about it is mistaken."""
    before = len(problems.found)
    hosts = _hosts_of(node, problems)
    addresses = {name: _address_of(host, problems) for name, host in hosts.items()}
    templates = _templates(hosts, ServiceKinds(folders, problems), problems)
    everything = _scope(scope, hosts, templates)
    for template in templates.values():
        own = {
            "name": constant(template.name),
            "host": constant(host_namespace(template.host, address_of(template.host))),
        }
        template.scope = Namespace(everything.what, own, everything.all())
    specs = [spec for template in templates.values() if (spec := template.spec())]
    _check_ports(specs, problems)
    _check_order(specs, problems)
    _check_later(specs, problems)
    _check_protocols(specs, problems)
    if len(problems.found) > before:
        return None
    return Topology(
        hosts=tuple(
            HostSpec(
                name=name,
                place=host.place,
                services=tuple(s for s in specs if s.host == name),
                address=addresses[name],
            )
            for name, host in hosts.items()
        ),
        stated_by=stated_by,
    )


def _hosts_of(node: Node, problems: Problems) -> Mapping[str, Node]:
    if not node.is_mapping:
        problems.add(node, f"a topology is a mapping with 'hosts', got {node.shown()}")
        return {}
    for key in node.value:
        if key not in KEYS:
            problems.unknown_key(node.keys[key], key, KEYS, "a topology")
    hosts = node.value.get("hosts")
    if hosts is None or not hosts.value:
        problems.add(hosts or node, "the topology has no hosts")
        return {}
    if not hosts.is_mapping:
        problems.add(hosts, f"hosts: expected a mapping from names to their services, got {hosts.shown()}")
        return {}
    for name in hosts.value:
        _check_name(name, hosts, problems, "host")
    return dict(hosts.value)


def _address_of(host: Node, problems: Problems) -> str:
    stated = host.value.get(ADDRESS) if host.is_mapping else None
    if stated is None:
        return ""
    if not isinstance(stated.value, str) or not stated.value.strip():
        problems.add(stated, f"address: expected an address like 10.0.0.5, got {stated.shown()}")
        return ""
    return stated.value.strip()


def _check_name(name: str, where: Node, problems: Problems, what: str) -> None:
    place = where.keys[name]
    if not WORD.fullmatch(name):
        problems.add(place, f"'{name}' cannot be the name of a {what}: letters, digits, '-' and '_' only")
    elif name in RESERVED:
        problems.add(place, f"'{name}' cannot be the name of a {what}: it is a word of references")


def _templates(
    hosts: Mapping[str, Node], kinds: ServiceKinds, problems: Problems
) -> dict[str, ServiceTemplate]:
    found: dict[str, ServiceTemplate] = {}
    reader = Reader(problems, lambda what: tuple(found) if what == "service" else None)
    for host, node in hosts.items():
        if node.value is not None and not node.is_mapping:
            problems.add(node, f"{host}: expected a mapping from names to services, got {node.shown()}")
            continue
        for name, service in (node.value or {}).items():
            if name == ADDRESS:
                continue
            _check_name(name, node, problems, "service")
            place = node.keys[name]
            if name in found:
                first = found[name]
                problems.add(
                    place, f"a service called '{name}' is on {first.host} already, line {first.place.line}"
                )
            elif name in hosts:
                problems.add(place, f"'{name}' is the name of a host; a service needs another")
            elif not service.is_mapping:
                problems.add(service, f"{name}: expected a mapping that describes it, got {service.shown()}")
            else:
                found[name] = ServiceTemplate(name, host, service, place, kinds, reader)
                found[name].runs_already = ADDRESS in node.value
    return found


def _scope(
    outer: Namespace, hosts: Mapping[str, Node], templates: Mapping[str, ServiceTemplate]
) -> Namespace:
    return Namespace(
        "nothing in the topology is called",
        {name: template.namespace for name, template in templates.items()},
        {name: constant(host_namespace(name, address_of(name))) for name in hosts},
        outer.all(),
    )


def _check_ports(specs: list[ServiceSpec], problems: Problems) -> None:
    taken: dict[tuple[str, int], ServiceSpec] = {}
    for spec in specs:
        for port in spec.ports:
            other = taken.setdefault((spec.host, port), spec)
            if other is not spec:
                two = f"by {_with_ports(other)} and by {_with_ports(spec)}"
                problems.add(spec.place, f"port {port} on {spec.host} is wanted twice: {two}")
        if len(set(spec.ports)) < len(spec.ports):
            problems.add(spec.place, f"{_with_ports(spec)} wants a port twice")


def _check_later(specs: list[ServiceSpec], problems: Problems) -> None:
    later = {spec.name for spec in specs if spec.later}
    for spec in specs:
        for name in spec.after:
            if name in later and not spec.later:
                problems.add(spec.place, f"after: '{name}' comes later, so {spec.name} would never start")


def _with_ports(spec: ServiceSpec) -> str:
    return f"{spec.name} ({', '.join(map(str, spec.ports))})"


def _check_order(specs: list[ServiceSpec], problems: Problems) -> None:
    names = {spec.name: spec for spec in specs}
    try:
        TopologicalSorter({s.name: [a for a in s.after if a in names] for s in specs}).prepare()
    except CycleError as error:
        circle = error.args[1]
        message = f"these services wait for each other: {' after '.join(circle)}"
        problems.add(names[circle[0]].place, message)


def _check_protocols(specs: list[ServiceSpec], problems: Problems) -> None:
    for spec in specs:
        for name in spec.speaks:
            if name not in PROTOCOLS:
                hint = did_you_mean(name, PROTOCOLS)
                problems.add(spec.place, f"{spec.name} speaks '{name}', a protocol nobody knows.{hint}")
