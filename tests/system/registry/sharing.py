"""Redis for the registry's tests: Debian's redis-server on a loopback address; registries that share through it."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.system.registry.served import ADDRESS, serving, until
from tests.system.registry.simulated import SERVICE

NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("redis-server"), reason="no redis-server (apt-get install redis-server)"
    ),
]


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as free:
        return int(free.getsockname()[1])


class Server:
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`{port}` in an option is the port; with `--port 0` among them only what they say is opened."""
        self.port = free_port()
        self.url = f"redis://{ADDRESS}:{self.port}"
        options = tuple(option.replace("{port}", str(self.port)) for option in options)
        self._command = ["redis-server", "--port", str(self.port), "--bind", ADDRESS, "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        while "Ready to accept connections" not in (line := self.process.stdout.readline()):
            assert line, "redis-server ended"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


Scenario = Callable[[httpx.AsyncClient, httpx.AsyncClient], Coroutine[Any, Any, None]]


def play(url: str, scenario: Scenario, **options: Any) -> None:
    """A scenario with two registries that share a table."""

    async def run() -> None:
        async with serving(store=url, **options) as one, serving(store=url, **options) as other:
            await until(lambda: is_shared(one))
            await until(lambda: is_shared(other))
            await scenario(one, other)

    asyncio.run(run())


async def is_shared(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/health")).json()["store"]["connected"])


async def names(client: httpx.AsyncClient) -> set[str]:
    return {service["name"] for service in (await client.get("/services")).json()["services"]}


async def shows(client: httpx.AsyncClient, *wanted: str) -> None:
    """Wait until exactly these are registered."""

    async def as_wanted() -> bool:
        return await names(client) == set(wanted)

    await until(as_wanted)


async def register(client: httpx.AsyncClient, name: str, **fields: Any) -> str:
    answer = await client.post("/services", json={**SERVICE, "name": name, **fields})
    assert answer.status_code == 201
    return str(answer.json()["lease_id"])


async def is_alone(client: httpx.AsyncClient) -> bool:
    document = (await client.get("/health")).json()
    return document["status"] == "healthy" and not document["store"]["connected"]
