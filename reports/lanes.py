"""Hosts and services as lanes of a timeline: in which state they were, from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.events import (
    Combined,
    FaultHealed,
    FaultProven,
    FaultRequested,
    HostDown,
    HostUp,
    Inferred,
    RequestDone,
    RequestLogged,
    Seen,
    ServiceExited,
    ServiceReady,
    ServiceStarting,
)
from harness.history import of
from reports.model import Band, HostReport, ServiceReport

if TYPE_CHECKING:
    from harness.artifacts import Manifest, PlannedService
    from harness.history import Record
    from reports.model import FaultReport

Change = tuple[float, str, str]
"""When, the new state (empty: none), and a note."""

STATE_UNDER = {"kill": "dead", "stop": "stopped", "pause": "paused"}
"""The state of a service while such a fault holds; under other faults its own events tell."""

THERE = frozenset({"ready", "answering"})
GONE = frozenset({"paused", "dead", "stopped", "silent"})
"""States in which a service is surely there, or surely not. One that starts may be either."""


def bands(changes: Iterable[Change], end: float) -> tuple[Band, ...]:
    """Turn changes of state, in order, into bands; changes to the same state are one band."""
    found: list[Band] = []
    current: Change = (0.0, "", "")
    for change in changes:
        if change[1] == current[1]:
            continue
        if current[1] and change[0] > current[0]:
            found.append(Band(state=current[1], start=current[0], end=change[0], note=current[2]))
        current = change
    if current[1]:
        found.append(Band(state=current[1], start=current[0], end=max(end, current[0]), note=current[2]))
    return tuple(found)


def hosts_of(
    manifest: Manifest, records: Sequence[Record], faults: Sequence[FaultReport], end: float
) -> tuple[HostReport, ...]:
    """The hosts in the topology's order, each with its services' states."""
    many = RequestDone | Combined | Inferred | RequestLogged
    records = [record for record in records if not isinstance(record.event, many)]
    addresses = {e.host: e.address for _, e in of(records, HostUp)} | {
        host: address for host, address in manifest.hosts.items() if address
    }
    planned = [*dict.fromkeys([*manifest.hosts, *addresses, *(s.host for s in manifest.services)])]
    return tuple(
        HostReport(
            name=host,
            address=addresses.get(host, ""),
            up=bands(_host_changes(host, records), end),
            services=tuple(
                _service(service, records, faults, end)
                for service in manifest.services
                if service.host == host
            ),
        )
        for host in planned
    )


def _host_changes(host: str, records: Sequence[Record]) -> Iterator[Change]:
    for record in records:
        if isinstance(record.event, HostUp | HostDown) and record.event.host == host:
            yield record.t, "up" if isinstance(record.event, HostUp) else "", ""


def _service(
    service: PlannedService, records: Sequence[Record], faults: Sequence[FaultReport], end: float
) -> ServiceReport:
    own = [r for r in records if getattr(r.event, "service", None) == service.name]
    ready = next((e for _, e in of(own, ServiceReady)), None)
    hitting = {f.id for f in faults if service.name in (f.hits or (f.target,)) and not hits_child(f)}
    changes = [*_service_changes(service.name, records, hitting)] or [*_answering(service.name, records)]
    return ServiceReport(
        name=service.name,
        host=service.host,
        kind=service.kind,
        url=service.url or (ready.url if ready else ""),
        command=service.command or next((e.command for _, e in of(own, ServiceStarting)), ()),
        ports=service.ports,
        states=bands(changes, end),
        ready_after=ready.after if ready else None,
    )


def hits_child(fault: FaultReport) -> bool:
    """Whether it hits only a service's child process (`service.child`): the service itself lives on."""
    return "." in fault.target


def _service_changes(name: str, records: Sequence[Record], hitting: set[str]) -> Iterator[Change]:
    fault_in_force = ""
    for record in records:
        event = record.event
        match event:
            case ServiceStarting(service=s) if s == name:
                yield record.t, "starting", f"pid {event.pid}" if event.pid else ""
            case ServiceReady(service=s) if s == name:
                yield record.t, "ready", f"ready {event.after:.2f} s after its start: {event.by}"
            case FaultRequested(fault=f) if f in hitting:
                fault_in_force = event.what
            case ServiceExited(service=s) if s == name:
                dead = not event.expected or fault_in_force == "kill"
                yield record.t, "dead" if dead else "stopped", how_it_ended(event)
            case FaultProven(fault=f) if f in hitting and event.what in STATE_UNDER:
                yield record.t, STATE_UNDER[event.what], f"{event.what} {event.target}"
            case FaultHealed(fault=f) if f in hitting and event.what in STATE_UNDER:
                fault_in_force = ""
                yield record.t, "ready", f"{event.what} {event.target} healed"


def how_it_ended(event: ServiceExited) -> str:
    """`ended by SIGKILL`, `exited with code 1`, and by whom."""
    how = f"ended by {event.signal}" if event.signal else f"exited with code {event.code}"
    return f"{how} (by the harness)" if event.expected else how


def _answering(name: str, records: Sequence[Record]) -> Iterator[Change]:
    """For services that already ran: whether they answered when they were looked at."""
    for record, event in of(records, Seen):
        if event.source == name:
            yield record.t, "answering" if event.ok else "silent", event.error


Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Presence:
    """When a service was surely there, when surely gone, and when its child may have been either."""

    there: Spans
    gone: Spans
    child_doubtful: Spans


def presence_of(hosts: Sequence[HostReport], faults: Sequence[FaultReport]) -> Mapping[str, Presence]:
    """Service -> its presence. While a fault holds on a child, a supervisor may bring that back unseen."""
    found = {}
    for service in (service for host in hosts for service in host.services):
        hits = [f for f in faults if hits_child(f) and f.target.partition(".")[0] == service.name]
        found[service.name] = Presence(
            there=tuple((b.start, b.end) for b in service.states if b.state in THERE),
            gone=tuple((b.start, b.end) for b in service.states if b.state in GONE),
            child_doubtful=tuple((f.requested, f.ended) for f in hits),
        )
    return found
