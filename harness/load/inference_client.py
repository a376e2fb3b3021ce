"""Virtual clients of inference workers: they find an endpoint, keep it while it answers, or go elsewhere.

A client asks the registry for a replica when it has none. What an endpoint answers that is gone, or is no
longer what the registry said (UNAVAILABLE, NOT_FOUND, CANCELLED), makes it forget the endpoint; if it may
retry, it sends the same call to somebody else, and never within one call to an endpoint that has failed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp
import grpc
import grpc.aio

from harness.diagnosis import explain_status, explain_unreachable
from harness.protocols.base import ViewFailed
from harness.protocols.capability_registry import WITH_STATE, parse_replicas
from harness.protocols.kserve import (
    AS_BYTES,
    MODEL_INFER,
    MODEL_STREAM_INFER,
    outputs_of,
    streamed_outputs_of,
)
from harness.queries import PATH, Query, matches
from harness.tensors import Tensor, TensorError

STALE = frozenset({"UNAVAILABLE", "NOT_FOUND", "CANCELLED"})
"""Statuses after which another replica may do better."""
LATE = "DEADLINE_EXCEEDED"
NOBODY = "NO_REPLICA"
"""The `code` of a call that was sent to nobody."""


class Place(NamedTuple):
    """Where a call is sent, and as whom the registry knows that."""

    endpoint: str
    replica: str = ""

    def __str__(self) -> str:
        return f"{self.replica} at {self.endpoint}" if self.replica else self.endpoint


@dataclass(slots=True)
class Answered:
    """How a call ended: at which place, with which status, which outputs (one mapping for each answer)."""

    place: Place | None
    code: str
    error: str = ""
    answers: list[dict[str, Tensor]] = field(default_factory=list)
    first: float | None = None
    tries: list[str] = field(default_factory=list)


class NoReplica(Exception):
    """Nobody can be sent this call; the text says why."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Asks a registry of replicas for one."""

    http: aiohttp.ClientSession
    url: str
    query: Query

    async def any(self) -> Place:
        """Whom it names; raises NoReplica."""
        found = await self._json(f"{self.url}{PATH}")
        if not (isinstance(found, dict) and isinstance(found.get("endpoint"), str)):
            msg = f"{self.url}{PATH} answered without an endpoint: {str(found)[:120]}"
            raise NoReplica(msg)
        return Place(found["endpoint"], str(found.get("replica_id", "")))

    async def other(self, failed: Sequence[str]) -> Place:
        """Somebody among those that it lists whose endpoint has not failed; raises NoReplica."""
        url = f"{self.url}{WITH_STATE}"
        try:
            listed = parse_replicas(await self._json(url), url)
        except ViewFailed as error:
            raise NoReplica(str(error)) from None
        fit = [
            Place(entry["endpoint"], name)
            for name, entry in listed.items()
            if entry["routable"]
            and entry["endpoint"] not in failed
            and matches(entry["capabilities"], self.query)
        ]
        if not fit:
            msg = f"{url} lists nobody else who can do it"
            raise NoReplica(msg)
        return random.choice(fit)

    async def _json(self, url: str) -> object:
        try:
            async with self.http.get(url, params=dict(self.query)) as answer:
                said = await answer.read()
                if answer.ok:
                    found: object = json.loads(said)
                    return found
                msg = (
                    f"{explain_status(str(answer.url), answer.status)}: {said[:80].decode(errors='replace')}"
                )
        except TimeoutError:
            msg = f"{url} did not answer in time"
        except (aiohttp.ClientError, OSError) as error:
            msg = explain_unreachable(url, error)
        except ValueError:
            msg = f"{url} did not answer JSON"
        raise NoReplica(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What all clients of a load have in common: whom they ask, how patient they are, when they give up.

    `at` is where calls go without asking; else `registry` is asked.
    """

    channel: Callable[[str], grpc.aio.Channel]
    now: Callable[[], float]
    timeout: float
    at: Place | None = None
    registry: Registry | None = None
    retries: int = 0
    ask_always: bool = False
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class VirtualClient:
    """One client, and the place it calls as long as that answers."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._place = habits.at

    async def call(self, request: bytes, request_id: str) -> Answered:
        """Send one call, and again elsewhere if it may; never raises for what a worker or registry does."""
        habits, tries, failed = self._habits, list[str](), list[str]()
        until = habits.now() + habits.timeout
        while True:
            try:
                place = await self._find(failed)
            except NoReplica as error:
                said = "; ".join([*tries, str(error)])
                return Answered(None, NOBODY, said, tries=tries)
            answered = await self._once(place, request, request_id, until - habits.now())
            answered.tries = tries
            if answered.code == "OK":
                return answered
            if answered.code in STALE or answered.code == LATE:
                self._place = habits.at
            told = f"{place} answered {answered.code}: {answered.error}"
            if answered.code not in STALE or len(tries) >= habits.retries or habits.registry is None:
                answered.error = "; ".join([*tries, told])
                return answered
            tries.append(told)
            failed.append(place.endpoint)

    async def _find(self, failed: Sequence[str]) -> Place:
        registry = self._habits.registry
        if registry is not None and (self._place is None or self._habits.ask_always or failed):
            self._place = await (registry.other(failed) if failed else registry.any())
        assert self._place is not None
        return self._place

    async def _once(self, place: Place, request: bytes, request_id: str, within: float) -> Answered:
        habits, answered = self._habits, Answered(place, "OK")
        try:
            channel = habits.channel(place.endpoint)
            metadata = [(name.lower(), value) for name, value in habits.headers.items()]
            patience = max(within, 0.001)
            if habits.stream:
                calls = channel.unary_stream(MODEL_STREAM_INFER, *AS_BYTES)
                async for data in calls(request, timeout=patience, metadata=metadata):
                    self._take(answered, streamed_outputs_of(data, request_id))
            else:
                call = channel.unary_unary(MODEL_INFER, *AS_BYTES)
                data = await call(request, timeout=patience, metadata=metadata)
                self._take(answered, outputs_of(data, request_id))
        except TensorError as error:
            answered.error = str(error)
        except grpc.aio.AioRpcError as error:
            answered.code, answered.error = error.code().name, error.details() or ""
        except (grpc.aio.UsageError, ValueError) as error:
            answered.code, answered.error = "UNAVAILABLE", f"no call can be sent there: {error}"
        return answered

    def _take(self, answered: Answered, outputs: dict[str, Tensor] | str) -> None:
        if answered.first is None:
            answered.first = self._habits.now()
        if isinstance(outputs, str):
            # in a stream a worker says what went wrong in a message of its own: the status of all of it is OK
            answered.code, answered.error = "INTERNAL", outputs
        else:
            answered.answers.append(outputs)
