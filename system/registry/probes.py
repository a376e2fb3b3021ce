"""Probes of what is registered: on request, and in the background every --health-interval."""

import asyncio
import contextlib
import logging
import ssl
from urllib.parse import urlsplit

from system.leases import LeaseError
from system.registry.entries import Entry, Health
from system.registry.live import Live

log = logging.getLogger("registry")

AT_ONCE = 64
ANSWERED = {404}
"""A server that answers is alive, also where it has no such page: a 404 counts as healthy, as a 2xx does."""


class Prober:
    """Asks entries how they are. A new connection each time: what is probed is whether one can be had."""

    def __init__(self, live: Live, timeout: float) -> None:
        self._live = live
        self._timeout = timeout
        self.running = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def probe(self, entry: Entry) -> Health:
        """GET its /health; where its URL is not HTTP's, whether it accepts a connection."""
        self.running += 1
        try:
            async with self._turns, asyncio.timeout(self._timeout):
                return "healthy" if await _answers(entry.url) else "unhealthy"
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return "unhealthy"
        finally:
            self.running -= 1

    async def keep_probing(self, interval: float) -> None:
        """Probe everything, every interval, for ever."""
        while True:
            await asyncio.sleep(interval)
            entries = list(self._live.table.entries.values())
            if entries:
                verdicts = await asyncio.gather(*map(self._judge, entries))
                healthy = verdicts.count("healthy")
                log.info("Health check completed: %d/%d services healthy", healthy, len(entries))

    async def _judge(self, entry: Entry) -> Health:
        """Records what a probe found; unlike a probe on request it does not stand in for a heartbeat."""
        with contextlib.suppress(LeaseError):
            lease = self._live.table.leases.held(entry.id)
            verdict = await self.probe(entry)
            self._live.table.note_health(entry.id, lease.id, verdict)
            return verdict
        return "unknown"


async def _answers(url: str) -> bool:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if not parts.hostname:
        return False
    port = parts.port or (443 if secure else 80)
    tls = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        if parts.scheme not in {"http", "https"}:
            return True
        path = parts.path.rstrip("/") + "/health"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.readuntil(b"\r\n")).split(b" ", 2)[1])
        return 200 <= status < 300 or status in ANSWERED
    finally:
        writer.close()
