"""What state services are in, as a history tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.events import FaultHealed, FaultProven, ServiceExited, ServiceReady, ServiceStarting
from harness.history import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """A service's state, since when (seconds since the run began), and its URL once it is ready."""

    service: str
    host: str
    state: str
    since: float
    url: str = ""
    log: str = ""


def states(records: Iterable[Record]) -> dict[str, ServiceState]:
    """Service -> `starting`, `ready`, `paused`, `ended` or `died`, in the order of their first start."""
    found: dict[str, ServiceState] = {}
    for record in records:
        event, t = record.event, record.t
        match event:
            case ServiceStarting():
                found[event.service] = ServiceState(
                    service=event.service, host=event.host, state="starting", since=t, log=event.log
                )
            case ServiceReady() if event.service in found:
                found[event.service] = replace(found[event.service], state="ready", since=t, url=event.url)
            case ServiceExited() if event.service in found:
                state = "ended" if event.expected else "died"
                found[event.service] = replace(found[event.service], state=state, since=t)
            case FaultProven(what="pause") | FaultHealed(what="pause"):
                state = "paused" if isinstance(event, FaultProven) else "ready"
                for name in [s.service for s in found.values() if event.target in (s.service, s.host)]:
                    found[name] = replace(found[name], state=state, since=t)
            case _:
                pass
    return found
