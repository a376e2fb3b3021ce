"""Keeps a worker registered at one registry: a connection is the lease, renewals show it is not frozen."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

from system.http_client import HttpClient, Unreachable
from system.worker.event_stream import EventStream, event_stream
from system.worker.lease import STAY_AWAY, Ending, ending, pause, renewal_means

log = logging.getLogger("worker")

ANSWER_WITHIN = 3.0
SILENT_FOR = 12.0  # registries say "alive" every 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is registered."""

    replica_id: str
    endpoint: str
    capabilities: Sequence[Mapping[str, Any]]
    ttl: float

    @property
    def body(self) -> dict[str, Any]:
        return {
            "replica_id": self.replica_id,
            "endpoint": self.endpoint,
            "capabilities": list(self.capabilities),
            "ttl": self.ttl,
        }


class Registrar:
    """One entry at one registry, registered again whenever it is not, until the context is left."""

    def __init__(self, registry_url: str, entry: Entry, token: str | None) -> None:
        self._url = registry_url.rstrip("/")
        self._entry = entry
        self._token = token
        self._client = HttpClient(token)
        self._lease_id: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._told_trouble = False
        self._leaving = False
        self.registered = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        await self._leave()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _keep(self) -> None:
        failures = 0
        while not self._leaving:
            reason = await self._hold()
            failures = 0 if self.registered.is_set() else failures + 1
            self.registered.clear()
            if reason is Ending.REPLACED:
                await self._wait_for_the_name()
            else:
                # a registry that forgot us works: come back at once, but never in a tight loop
                await asyncio.sleep(pause(failures or 1, random.random()))

    async def _hold(self) -> Ending:
        """Register and stay registered; returns why that is over."""
        try:
            url = f"{self._url}/register"
            async with event_stream(url, self._entry.body, self._token, ANSWER_WITHIN) as stream:
                greeting = await stream.next(ANSWER_WITHIN)
                lease_id = greeting.get("lease_id")
                self._accepted(lease_id if isinstance(lease_id, str) else None)
                return await self._until_it_ends(stream)
        except Unreachable as error:
            self._trouble(str(error))
            return Ending.LOST

    def _accepted(self, lease_id: str | None) -> None:
        entry = self._entry
        self._lease_id = lease_id
        self._told_trouble = False
        self.registered.set()
        log.info("Registered %s at %s as %s", entry.replica_id, self._url, entry.endpoint)

    def _trouble(self, why: str) -> None:
        if not self._told_trouble:
            log.warning("not registered at %s: %s; trying again until it works", self._url, why)
        self._told_trouble = True

    async def _until_it_ends(self, stream: EventStream) -> Ending:
        renewing = asyncio.create_task(self._renew()) if self._lease_id else None
        listening = asyncio.create_task(self._listen(stream))
        tasks = [listening] if renewing is None else [listening, renewing]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, stream: EventStream) -> Ending:
        while True:
            status = (await stream.next(SILENT_FOR)).get("status")
            reason = ending(str(status))
            if reason is not None:
                log.warning("%s says %s about %s", self._url, status, self._entry.replica_id)
                return reason

    async def _renew(self) -> Ending:
        url = f"{self._url}/register/{quote(self._entry.replica_id, safe='')}/heartbeat"
        while True:
            await asyncio.sleep(self._entry.ttl / 4)
            with contextlib.suppress(Unreachable):  # the connection itself will tell
                answer = await self._client.request("POST", url, json={"lease_id": self._lease_id})
                reason = renewal_means(answer.status)
                if reason is not None:
                    log.warning(
                        "%s no longer knows %s (%d)", self._url, self._entry.replica_id, answer.status
                    )
                    return reason

    async def _wait_for_the_name(self) -> None:
        name = self._entry.replica_id
        log.error(
            "another worker registered as %s at %s; staying away until it is gone. Give one of the two "
            "another --replica-id",
            name,
            self._url,
        )
        taken = True
        while taken:
            await asyncio.sleep(STAY_AWAY * (0.5 + random.random() / 2))
            with contextlib.suppress(Unreachable):
                answer = (await self._client.request("GET", f"{self._url}/registry")).json()
                replicas = answer.get("replicas", []) if isinstance(answer, dict) else []
                taken = any(replica.get("replica_id") == name for replica in replicas)

    async def _leave(self) -> None:
        """Take the entry out before the connection closes: from then on nobody is sent here."""
        self._leaving = True
        if not (self.registered.is_set() and self._lease_id):
            return
        url = f"{self._url}/register/{quote(self._entry.replica_id, safe='')}"
        with contextlib.suppress(Unreachable):
            await self._client.request("DELETE", f"{url}?{urlencode({'lease_id': self._lease_id})}")
            log.info("Unregistered %s at %s", self._entry.replica_id, self._url)
