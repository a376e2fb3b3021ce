"""Stock services: containers of testcontainers' own classes, as hosts of their own in a deployment.

```python
async with joined(hosts, "cache", RedisContainer("muster-redis:local")) as cache:
    cache.get_client().ping()
```
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from harness.errors import EnvironmentFailure, NotApplicable
from harness.hosts.docker import DockerHosts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from testcontainers.core.container import DockerContainer

    from harness.hosts.base import Hosts
    from harness.hosts.control import Control
    from harness.hosts.sandbox import Sandbox

C = TypeVar("C", bound="DockerContainer")


@asynccontextmanager
async def joined(hosts: Hosts, name: str, container: C) -> AsyncIterator[C]:
    """Start a container of testcontainers as a new host `name`, ready by its own idea of that.

    The others reach it by that name; its cable can be cut. It carries the deployment's label, so whatever
    removes the deployment removes it, and Ryuk is not started. No port is published: the container's
    `get_container_host_ip()` and `get_exposed_port()` give its own address and ports.
    """
    if not isinstance(hosts, DockerHosts):
        msg = f"a container cannot be a host beside {hosts.kind} hosts: use --hosts docker"
        raise NotApplicable(msg)
    async with hosts.host(name) as sandbox:
        _settle(container, sandbox, hosts.labels(name), hosts.control)
        try:
            await asyncio.to_thread(container.start)
        except Exception as error:
            await asyncio.to_thread(container.stop)
            msg = f"{name} ({container.image}) cannot start: {error}"
            raise EnvironmentFailure(msg) from error
        try:
            yield container
        finally:
            await asyncio.to_thread(container.stop)


def _settle(container: DockerContainer, sandbox: Sandbox, labels: dict[str, str], control: Control) -> None:
    """Have a container that is not started yet share network and processes of the sandbox."""
    from testcontainers.core.config import testcontainers_config

    testcontainers_config.ryuk_disabled = True
    join = f"container:{sandbox.container}"
    configure = container._configure  # noqa: SLF001  # where subclasses add ports, just before the start

    def without_ports() -> None:
        configure()
        container.ports = {}  # the sandbox's network has nothing to publish

    own = container._kwargs  # noqa: SLF001  # there is no way to ask for them
    container.with_kwargs(
        **own | {"labels": own.get("labels", {}) | labels, "network_mode": join, "pid_mode": join}
    )
    for name, replacement in {
        "_configure": without_ports,
        "get_container_host_ip": lambda: control.near(sandbox.address),
        "get_exposed_port": lambda port: control.way_to(sandbox.address, int(port))[1],
        "_get_exposed_port": lambda port: control.way_to(sandbox.address, int(port))[1],
    }.items():
        setattr(container, name, replacement)
