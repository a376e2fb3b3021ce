"""The stage on which steps are performed: a running deployment, its observers, its logs, a client."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import httpx

from harness.deployment import deployed
from harness.hosts import HOSTS
from harness.logsources import source_of
from harness.logwatch import LogWatch
from harness.observers import Observers
from harness.references import Scope, resolve, resolve_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from harness.deployment import Deployment
    from harness.hosts.base import Service, Workspace
    from harness.logsources import Source
    from harness.model import ServiceSpec, Topology
    from harness.settings import RunSettings

POLL_TIMEOUT = 2.0
"""Seconds an observed service may take to answer."""

T = TypeVar("T")


@dataclass(slots=True)
class Stage:
    """Everything an action may use; `disturbed` are the services that a fault holds down at this moment."""

    deployment: Deployment
    observers: Observers
    logs: LogWatch
    settings: RunSettings
    http: httpx.AsyncClient
    scope: Scope
    id_prefix: str
    disturbed: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def resolve(self, value: T) -> T:
        """The value with its references replaced."""
        return resolve(value, self.scope)

    def next_id(self, role: str) -> str:
        """An id within the run: `load1`, `load2`, ..."""
        self.counts[role] = self.counts.get(role, 0) + 1
        return f"{role}{self.counts[role]}"


@asynccontextmanager
async def stage_of(
    topology: Topology,
    settings: RunSettings,
    workspace: Workspace,
    told: Callable[[Mapping[str, str], Sequence[ServiceSpec]], None],
) -> AsyncIterator[Stage]:
    """Bring a topology up and set everything around it to work; leaving tears it down.

    `told` hears the hosts' addresses and the resolved specs before anything is started.
    """
    async with HOSTS[settings.hosts_kind].open(topology, workspace) as hosts:
        specs = tuple(resolve_service(spec, hosts.addresses) for spec in topology.services)
        told(hosts.addresses, specs)
        async with deployed(topology, specs, hosts, workspace) as deployment, AsyncExitStack() as stack:
            client = await stack.enter_async_context(_client(settings))
            prefix = f"mu{workspace.run}"
            logs = LogWatch(workspace.history, [_log_of(s, workspace) for s in deployment.services()], prefix)
            deployment.openings.append(lambda service: logs.add(_log_of(service, workspace)))
            observers = Observers(
                workspace.history, client, workspace.clock, deployment.facts, every=settings.observe_every
            )
            await stack.enter_async_context(observers)
            await stack.enter_async_context(logs.following())
            yield Stage(
                deployment=deployment,
                observers=observers,
                logs=logs,
                settings=settings,
                http=client,
                scope=Scope.of(deployment.specs(), hosts.addresses),
                id_prefix=prefix,
            )


def _log_of(service: Service, workspace: Workspace) -> Source:
    return source_of(service.spec.name, service.log, service.spec.log, workspace.root)


def _client(settings: RunSettings) -> httpx.AsyncClient:
    limits = httpx.Limits(max_keepalive_connections=100)
    return httpx.AsyncClient(
        timeout=POLL_TIMEOUT,
        headers=dict(settings.headers),
        limits=limits,
        verify=settings.verify_tls,
        trust_env=False,
    )
