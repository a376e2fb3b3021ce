"""Hosts and services as lanes of a timeline: in which state they were, from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.events import (
    FaultHealed,
    FaultProven,
    FaultRequested,
    HostDown,
    HostUp,
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

STATE_UNDER = {"kill": "dead", "stop": "stopped", "restart": "stopped", "pause": "paused"}
"""The state of a service that such a fault hits; other faults leave its state as it is."""

NOT_THERE = frozenset({"starting", "paused", "dead", "stopped", "silent"})
"""States in which nothing can be expected of a service."""


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
    records = [record for record in records if not isinstance(record.event, RequestDone | RequestLogged)]
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
    hitting = {f.id for f in faults if service.name in (f.hits or (f.target,))}
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


def _service_changes(name: str, records: Sequence[Record], hitting: set[str]) -> Iterator[Change]:
    disturbed = False
    for record in records:
        event = record.event
        match event:
            case ServiceStarting(service=s) if s == name:
                yield record.t, "starting", f"pid {event.pid}" if event.pid else ""
            case ServiceReady(service=s) if s == name:
                yield record.t, "ready", f"ready {event.after:.2f} s after its start: {event.by}"
            case FaultRequested(fault=f) if f in hitting:
                disturbed = True
            case ServiceExited(service=s) if s == name:
                yield record.t, "stopped" if event.expected and not disturbed else "dead", how_it_ended(event)
            case FaultProven(fault=f) if f in hitting and event.what in STATE_UNDER:
                yield record.t, STATE_UNDER[event.what], f"{event.what} {event.target}"
            case FaultHealed(fault=f) if f in hitting and event.what in STATE_UNDER:
                disturbed = False
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


def down_times(
    hosts: Sequence[HostReport], faults: Sequence[FaultReport]
) -> Mapping[str, tuple[tuple[float, float], ...]]:
    """Service, or `service.child`, -> when it was not there."""
    down: dict[str, list[tuple[float, float]]] = {}
    for service in (service for host in hosts for service in host.services):
        down[service.name] = [(b.start, b.end) for b in service.states if b.state in NOT_THERE]
    for fault in faults:
        for target in fault.hits or (fault.target,):
            if fault.proven is not None and "." in target and fault.what in STATE_UNDER:
                down.setdefault(target, []).append((fault.proven, fault.ended))
    return {name: tuple(sorted(spans)) for name, spans in down.items()}
