"""A registry without sockets and without waiting: its time is what the test says it is."""

import asyncio
from typing import Any

import httpx

from system.registry.access import Access
from system.registry.context import Context, Limits
from system.registry.peers import Keepalive, Peers
from system.registry.probes import Prober
from system.registry.program import registry_app

SERVICE = {
    "name": "a",
    "host": "10.0.0.1",
    "port": 8100,
    "hostname": "one",
    "url": "http://10.0.0.1:8100",
    "status": "running",
}


class Registry:
    """Requests to a registry whose clock stands still until `pass_time`."""

    def __init__(
        self, caller: str = "10.0.0.9", limits: Limits | None = None, access: Access | None = None
    ) -> None:
        self.time = 1000.0
        peers = Peers(100, Keepalive.within(5))
        limits = limits or Limits(body=100_000, entries_per_caller=50, kept=1_000_000, hold=0)
        self.context = Context(limits, access or Access(), peers, clock=lambda: self.time)
        self.app = registry_app(self.context, Prober(self.context.live, 1.0), "random")
        self._loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(self.app, client=(caller, 1234))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://10.0.0.8:18000")

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self._loop.run_until_complete(self._client.request(method, path, json=json, **options))

    def register(self, **fields: Any) -> httpx.Response:
        return self.call("POST", "/services", {**SERVICE, **fields})

    def names(self, query: str = "") -> list[str]:
        return [service["name"] for service in self.call("GET", f"/services{query}").json()["services"]]

    def pass_time(self, seconds: float) -> None:
        """The timer fires at every instant for which it is set, as it does in a process that runs."""
        end = self.time + seconds
        while self.context.live._armed_for <= end:
            self.time = self.context.live._armed_for
            self._loop.run_until_complete(self._fire())
        self.time = end

    async def _fire(self) -> None:
        self.context.live.now()

    def stand_still(self, seconds: float) -> None:
        """Time passes while the process does not run."""
        self.time += seconds

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self.context.close()
        self._loop.close()
