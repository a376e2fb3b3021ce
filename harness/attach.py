"""Servers that already run, as a topology: from an inventory, as the scenario states, or as discovered.

The registry is asked once, before anything is judged. Whose statement counts:

1. an inventory: it says which services exist, what they offer, and how their logs are read;
2. else the scenario's own topology, if the registry knows any of its names: a missing one is then missed;
3. else whatever the registry lists: names and models are taken from there, and held against what the services
   themselves and the router say.

Services that nobody stated are added as they were discovered, unless an inventory speaks.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from harness.errors import Place, Problem, ScenarioError
from harness.model import HostSpec, ServiceSpec, Topology
from harness.protocols.base import ViewFailed
from harness.protocols.service_registry import ServiceRegistry
from harness.topology import read_inventory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.invocation import Invocation

ANSWER_WITHIN = 3.0
"""Seconds the registry may take to list its services."""
COMMAND_LINE = Place("the command line")
REGISTRY, ROUTER = "service_registry", "openai"


@dataclass(frozen=True, slots=True)
class Given:
    """What `--attach` says: one address for registry and router, or URLs by service name."""

    address: str
    urls: Mapping[str, str]


def attached_topology(invocation: Invocation, stated: Topology | None) -> Topology:
    """The topology that is judged; asks the registry what it lists (a silent registry lists nothing)."""
    given = parse_attach(invocation.attach)
    stated = stated or Topology(hosts=())
    if invocation.inventory:
        return _at_addresses(read_inventory(Path(invocation.inventory), os.environ), given, invocation)
    if not given.address and not given.urls:
        message = "attached hosts need --attach ADDRESS, --attach NAME=URL, or --inventory FILE"
        raise ScenarioError([Problem(COMMAND_LINE, message)])
    fronts = _fronts(stated, given, invocation)
    registry = next((spec for spec in fronts if REGISTRY in spec.speaks), None)
    listed = ask_registry(registry.url, invocation) if registry else {}
    topology = merge_listed(stated, fronts, listed)
    expected = invocation.expect_services
    return topology if expected is None else replace(topology, serving_at_least=expected)


def parse_attach(values: Sequence[str]) -> Given:
    """`10.0.0.5`, or `router=http://10.0.0.5:8000`, or both kinds; every mistake at once."""
    problems, addresses, urls = [], [], {}
    for value in values:
        name, separator, url = value.partition("=")
        if not separator:
            addresses.append(value)
        elif not name or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            problems.append(f"--attach {value}: write NAME=URL, like router=http://10.0.0.5:8000")
        else:
            urls[name] = url.rstrip("/")
    problems += [
        _not_an_address(a) for a in addresses if "/" in a or (":" in a.strip("[]") and a.count(":") == 1)
    ]
    if len(addresses) > 1:
        problems.append(
            f"--attach was given two addresses ({', '.join(addresses)}); only one holds the registry"
        )
    if problems:
        raise ScenarioError([Problem(COMMAND_LINE, text) for text in problems])
    return Given(addresses[0] if addresses else "", urls)


def _not_an_address(value: str) -> str:
    return (
        f"--attach {value}: give an address alone (ports by --registry-port and --router-port), or NAME=URL"
    )


def ask_registry(url: str, invocation: Invocation) -> Mapping[str, Any]:
    """The registry's `services` view; empty when it does not answer: the steps will say so."""

    async def ask() -> Any:
        async with httpx.AsyncClient(
            timeout=ANSWER_WITHIN, headers=invocation.headers(), trust_env=False
        ) as client:
            return await ServiceRegistry().look(client, url, "services")

    try:
        return dict(asyncio.run(ask()))
    except ViewFailed:
        return {}


def merge_listed(stated: Topology, fronts: Sequence[ServiceSpec], listed: Mapping[str, Any]) -> Topology:
    """Fronts, stated services where the registry knows any of them, and everything else that it lists."""
    names = {name for spec in stated.services for name in spec.registers}
    known = [spec for spec in stated.services if spec.registers] if names & set(listed) or not listed else []
    placed = [_placed(spec, listed, fronts) for spec in known]
    extra = discovered_services({n: e for n, e in listed.items() if n not in (names if known else ())})
    registry = next((spec.url for spec in fronts if REGISTRY in spec.speaks), "")
    return Topology(
        hosts=_by_host([*fronts, *placed, *extra]),
        stated_by=stated.stated_by if known else f"discovered at {registry}",
        serving_at_least=sum(any(models for models in s.registers.values()) for s in (known or extra)) or 1,
    )


def _fronts(stated: Topology, given: Given, invocation: Invocation) -> list[ServiceSpec]:
    """Registry and router, at the addresses that the command line gives."""
    ports = {REGISTRY: invocation.registry_port, ROUTER: invocation.router_port}
    fronts = []
    for spec in stated.services:
        protocol = next((p for p in spec.speaks if p in ports and not spec.registers), None)
        url = given.urls.get(spec.name, "")
        if not url and protocol and given.address:
            url = f"{invocation.scheme}://{given.address}:{ports[protocol]}"
        if url:
            fronts.append(replace(spec, url=url))
    unknown = [name for name in given.urls if name not in {s.name for s in stated.services}]
    if unknown:
        text = f"--attach: the scenario has no service called {', '.join(unknown)}"
        raise ScenarioError([Problem(COMMAND_LINE, text)])
    return fronts


def _placed(spec: ServiceSpec, listed: Mapping[str, Any], fronts: Sequence[ServiceSpec]) -> ServiceSpec:
    """A stated service where the registry says it is; one that is not listed stays without a URL."""
    serving = sorted(spec.registers, key=lambda name: not spec.registers[name])
    entry = next((listed[name] for name in serving if name in listed), None)
    del fronts
    return replace(spec, url=entry["url"] if entry else "", command=(), ready=None, log=spec.log)


def discovered_services(listed: Mapping[str, Any]) -> list[ServiceSpec]:
    """Registry entries as services: an entry with a `parent_service` belongs to that one."""
    groups: dict[str, dict[str, Any]] = {}
    for name, entry in listed.items():
        groups.setdefault(str(entry["metadata"].get("parent_service") or name), {})[name] = entry
    found = []
    for name, entries in sorted(groups.items()):
        serving = next((e for e in entries.values() if e["models"]), next(iter(entries.values())))
        found.append(
            ServiceSpec(
                name=name,
                host=serving["host"] or "unknown",
                place=COMMAND_LINE,
                url=serving["url"],
                registers={n: tuple(e["models"]) for n, e in entries.items()},
            )
        )
    return found


def _by_host(specs: Sequence[ServiceSpec]) -> tuple[HostSpec, ...]:
    """Hosts by the address that services have; a host keeps the scenario's name for it."""
    hosts: dict[str, list[ServiceSpec]] = {}
    for spec in specs:
        hosts.setdefault(spec.host, []).append(spec)
    return tuple(
        HostSpec(name=name, place=COMMAND_LINE, services=tuple(services), address=_address(services))
        for name, services in hosts.items()
    )


def _address(services: Sequence[ServiceSpec]) -> str:
    return next((urlsplit(s.url).hostname or "" for s in services if s.url), "")


def _at_addresses(inventory: Topology, given: Given, invocation: Invocation) -> Topology:
    """An inventory, with the URLs of the command line where both speak."""
    hosts = tuple(
        replace(host, services=tuple(_urled(s, given) for s in host.services)) for host in inventory.hosts
    )
    expected = invocation.expect_services
    stated = sum(any(s.registers.values()) for s in inventory.services)
    return replace(inventory, hosts=hosts, serving_at_least=stated if expected is None else expected)


def _urled(spec: ServiceSpec, given: Given) -> ServiceSpec:
    return replace(spec, url=given.urls.get(spec.name, spec.url), command=(), ready=None)
