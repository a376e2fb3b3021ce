"""Carries out a registration: sends what the state machine asks for and reports what it learns."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import quote, urlencode

from system.babysitter.registration import Action, Outcome, Registration, State
from system.http_client import Answer, HttpClient, Unreachable

log = logging.getLogger("babysitter")


class Registrar:
    """One name at one registry."""

    def __init__(
        self,
        client: HttpClient,
        registry_url: str,
        name: str,
        registration: Registration,
        body: Callable[[], dict[str, Any]],
        announce: Callable[[], str],
    ) -> None:
        self.registry_url = registry_url.rstrip("/")
        self.name = name
        self._client = client
        self._registration = registration
        self._body = body
        self._announce = announce
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._in_trouble = False
        self._task: asyncio.Task[None] | None = None

    @property
    def registered(self) -> bool:
        return self._registration.state is State.HELD

    def want(self) -> None:
        self._registration.want(time.monotonic())
        self._changed.set()

    def drop(self) -> None:
        self._registration.drop(time.monotonic())
        self._changed.set()

    def confirm(self) -> None:
        self._registration.confirm(time.monotonic())
        self._changed.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def removed(self) -> None:
        """Returns once nothing is registered any more."""
        self._settled.clear()
        self.drop()
        await self._settled.wait()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            now = time.monotonic()
            action = self._registration.next(now)
            if self._registration.settled:
                self._settled.set()
            if action is None:
                await self._wait(self._registration.due_in(now))
            else:
                await self._act(action)

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _act(self, action: Action) -> None:
        sent = time.monotonic()
        answer: Answer | None = None
        try:
            answer = await self._send(action)
            trouble = f"answered {answer.status} {answer.body[:200].decode(errors='replace')}".rstrip()
        except Unreachable as error:
            trouble = str(error)
        outcome = Outcome(answer.status if answer else None, _lease_id(answer))
        before = self._registration.state
        self._registration.answered(action, outcome, sent=sent, now=time.monotonic(), dice=random.random())
        self._report(action, before, outcome, trouble)

    async def _send(self, action: Action) -> Answer:
        url = f"{self.registry_url}/services/{quote(self.name, safe='')}"
        lease_id = self._registration.lease_id
        match action:
            case Action.REGISTER:
                return await self._client.request("POST", f"{self.registry_url}/services", json=self._body())
            case Action.HEARTBEAT:
                beat = {"status": "running"} | ({"lease_id": lease_id} if lease_id else {})
                return await self._client.request("POST", f"{url}/heartbeat", json=beat)
            case Action.LOOK:
                return await self._client.request("GET", url)
            case Action.REMOVE:
                query = "?" + urlencode({"lease_id": lease_id}) if lease_id else ""
                return await self._client.request("DELETE", url + query)

    def _report(self, action: Action, before: State, outcome: Outcome, trouble: str) -> None:
        after = self._registration.state
        if after is State.HELD and before is not State.HELD:
            log.info("%s", self._announce())
        elif after is State.TAKEN and before is not State.TAKEN:
            log.error(
                "%s: another service registered this name at %s after us; staying away until it is gone. "
                "Two babysitters must not share a name: give one of them another --name",
                self.name,
                self.registry_url,
            )
        elif before is State.HELD and after is State.ABSENT and action is Action.HEARTBEAT:
            log.warning("%s is no longer known to %s: registering again", self.name, self.registry_url)
        elif action is Action.REMOVE and after is State.ABSENT:
            log.info("Unregistered %s", self.name)
        self._report_trouble(action, outcome, trouble)

    def _report_trouble(self, action: Action, outcome: Outcome, trouble: str) -> None:
        expected = outcome.means(action)
        if not expected and not self._in_trouble:
            what = "Heartbeat" if action is Action.HEARTBEAT else f"Request to {action.value}"
            log.warning("%s failed for %s: %s: %s; trying again", what, self.name, self.registry_url, trouble)
        elif expected and self._in_trouble:
            log.info("%s answers again for %s", self.registry_url, self.name)
        self._in_trouble = not expected


def _lease_id(answer: Answer | None) -> str | None:
    document = answer.json() if answer is not None and answer.ok else None
    lease_id = document.get("lease_id") if isinstance(document, dict) else None
    return str(lease_id) if lease_id else None
