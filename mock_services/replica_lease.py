"""How the replica keeps its registration: one open stream, renewals beside it, and again when it breaks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import orjson

from mock_services.replica import ReplicaConfig
from system.asgi import Receive, Scope, Send, send_json

log = logging.getLogger("replica")

State = Literal["unregistered", "registered", "replaced"]
CONNECT_WITHIN = 5.0  # seconds
RENEWALS = 4  # within a ttl


class ReplicaLease:
    """The registration of one replica; once somebody newer has its id it does not fight for it."""

    def __init__(self, config: ReplicaConfig) -> None:
        self.state: State = "unregistered"
        self._config = config
        self._url = config.registry.rstrip("/") + "/register"

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Says how it stands, whatever is asked: the process is well also while nobody lists it."""
        del receive
        if scope["type"] == "http":
            await send_json(send, 200, {"replica_id": self._config.replica_id, "state": self.state})

    @asynccontextmanager
    async def kept(self, endpoint: str) -> AsyncIterator[None]:
        """Registered, as far as the registry answers, until the context is left."""
        task = asyncio.create_task(self._keep(endpoint))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep(self, endpoint: str) -> None:
        # A cable that was pulled and put back leaves a connection that only one side still believes in.
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN, sock_read=self._config.unheard
        )
        async with aiohttp.ClientSession(timeout=limits) as session:
            while self.state != "replaced":
                try:
                    await self.hold(session, endpoint)
                    log.info("the registry ended the connection; registering again")
                except (aiohttp.ClientError, OSError) as error:
                    why = str(error) or type(error).__name__
                    log.warning("no connection to the registry: %s; again in %g s", why, self._config.retry)
                if self.state == "registered":
                    self.state = "unregistered"
                await asyncio.sleep(self._config.retry)

    async def hold(self, session: aiohttp.ClientSession, endpoint: str) -> None:
        """One connection, from its registration to its end."""
        async with session.post(self._url, json=self._body(endpoint)) as stream:
            if not stream.ok:
                log.error("refused with %d: %s", stream.status, (await stream.text())[:200])
                return
            lease_id = stream.headers.get("x-lease-id", "")
            async with self._renewed(session, stream, lease_id):
                async for line in stream.content:
                    if line.startswith(b"data:"):
                        self._hear(orjson.loads(line.removeprefix(b"data:")), endpoint, lease_id)

    def _body(self, endpoint: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "replica_id": self._config.replica_id,
            "endpoint": endpoint,
            "capabilities": list(self._config.capabilities),
        }
        return body | ({"ttl": self._config.ttl} if self._config.renew else {})

    def _hear(self, said: dict[str, Any], endpoint: str, lease_id: str) -> None:
        """What an event of the stream means; `alive` means nothing new."""
        match said.get("status"):
            case "registered":
                self.state = "registered"
                log.info("registered %s as %s, lease %s", self._config.replica_id, endpoint, lease_id or "-")
            case "replaced":
                self.state = "replaced"
                log.warning("a newer registration has the id %s: giving it up", self._config.replica_id)
            case "alive":
                pass
            case other:
                log.warning("the registry says %s", other)

    @asynccontextmanager
    async def _renewed(
        self, session: aiohttp.ClientSession, stream: aiohttp.ClientResponse, lease_id: str
    ) -> AsyncIterator[None]:
        """Renewals beside the stream, if the registry was told to expect them."""
        if not self._config.renew:
            yield
            return
        task = asyncio.create_task(self._renew(session, stream, lease_id))
        try:
            yield
        finally:
            task.cancel()

    async def _renew(
        self, session: aiohttp.ClientSession, stream: aiohttp.ClientResponse, lease_id: str
    ) -> None:
        url = f"{self._url}/{quote(self._config.replica_id, safe='')}/heartbeat"
        limit = aiohttp.ClientTimeout(total=self._config.ttl)
        while True:
            await asyncio.sleep(self._config.ttl / RENEWALS)
            try:
                async with session.post(url, json={"lease_id": lease_id}, timeout=limit) as answer:
                    if answer.status == 404:
                        log.warning("the registry has forgotten %s", self._config.replica_id)
                        stream.close()
                    elif not answer.ok:
                        log.warning("a renewal was answered with %d: %s", answer.status, await answer.text())
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("a renewal was lost: %r", error)
