"""Through Redis 7: `redis://`, `rediss://`, with a password, and clusters (`redis+cluster://`).

News is published on `circuit_breaker:state:<provider>`, where the circuit itself is kept, too; counts on
`circuit_breaker:calls:<provider>`. Whenever a subscription begins, the first one or another, and every
second beside, the circuits here and in Redis are compared: what was missed, evicted or changed meanwhile is
made good. Every call has a deadline; where too many are missed, or the connection ends, Redis counts as gone,
nobody asks it anything, and it is looked for at growing intervals.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from system.breaker import OPEN, Breaker, BreakerSettings, Verdict
from system.errors import StartupError, UsageError
from system.gateway.sync.base import Ears, RedisSettings, SyncSettings, ended
from system.gateway.sync.scripts import PUT
from system.gateway.transitions import SLACK, Circuit
from system.gateway.wire import Garbled, Told, circuit_from, circuit_to, told_from, told_to

log = logging.getLogger("gateway")

SPACE = "circuit_breaker"
PATIENCE = 1.0  # seconds for an answer that no request waits for
PULSE = 1.0  # seconds between two comparisons
KEPT = 3600.0  # seconds that a circuit is kept for nobody
BACKLOG = 1000  # counts that wait to be told
SHORTEST_PAUSE = 0.1
OWN_BREAKER = BreakerSettings(
    window=10, min_volume=3, failure_share=0.5, open_for=0.5, longest=2.0, successes=1
)
STATE, CALLS = f"{SPACE}:state:", f"{SPACE}:calls:"


class Gone(Exception):
    """Redis does not do what is asked of it."""


@asynccontextmanager
async def through_redis(settings: SyncSettings, ears: Ears) -> AsyncIterator["RedisLink | None"]:
    """Share for as long as the context lasts; entered when Redis has been read, or cannot be for now."""
    if settings.redis is None:
        yield None
        return
    link = RedisLink(settings.redis, ears)
    running = asyncio.create_task(link.run())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.start_within):
                await link.tried.wait()
        yield link
    finally:
        await link.last_words()
        link.stopping.set()
        await running


class RedisLink:
    """One process's connection to Redis."""

    def __init__(self, settings: RedisSettings, ears: Ears) -> None:
        self.tried = asyncio.Event()
        self.stopping = asyncio.Event()
        self._settings = settings
        self._ears = ears
        self._client = _client(settings)
        self._broken = (_redis_error(), OSError, TimeoutError)
        self._breaker = Breaker(OWN_BREAKER)
        self._answered = float("-inf")
        self._heard = float("-inf")  # by the subscription
        self._open = False
        self._was_open = False
        self._missing: set[bytes] = set()  # channels that are not subscribed yet
        self._told: deque[Told] = deque(maxlen=BACKLOG)
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._compare = asyncio.Event()

    @property
    def reachable(self) -> bool:
        return self._open

    @property
    def connected(self) -> bool:
        return self._open and time.monotonic() - self._answered < PULSE + 2 * PATIENCE

    def changed(self, provider: str) -> None:
        self._dirty.add(provider)
        self._wake.set()

    def tell(self, told: Told) -> None:
        if self._open:
            self._told.append(told)
            self._wake.set()

    async def put(self, provider: str, circuit: Circuit, *, claim: bool, within: float) -> Circuit | None:
        if not self._open:
            return None
        try:
            return await self._put(provider, circuit, claim=claim, within=within)
        except Gone as error:
            log.warning("Redis health check failed: %s", error)
            return None

    async def run(self) -> None:
        """Connect, compare, tell and hear; over and over."""
        while not self.stopping.is_set():
            try:
                await self._session()
            except Gone as error:
                self._lost(error)
            except Exception as error:
                log.exception("what shares through Redis has a mistake; it begins anew")
                self._lost(error)
            now = time.monotonic()
            pause = SHORTEST_PAUSE if self._breaker.permits(now) else self._breaker.until - now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.stopping.wait()

    async def last_words(self) -> None:
        """Say what has not been said yet, if that is possible at once."""
        with contextlib.suppress(Gone, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                if self._open:
                    await self._say()

    async def _session(self) -> None:
        self._client = _client(self._settings)  # each session has its own, with nothing left of the last one
        subscription = self._client.pubsub()
        try:
            channels = [kind + name for kind in (STATE, CALLS) for name in self._ears.circuits()]
            self._missing = {channel.encode() for channel in channels}
            await self._ask(self._client.ping(), PATIENCE)  # a cluster's client learns its nodes from it
            await self._ask(subscription.subscribe(*channels), PATIENCE)
            await _first_of(
                self._hear(subscription),
                self._keep_in_line(subscription),
                self._speak(),
                self.stopping.wait(),
            )
        finally:
            self._open = False
            await self._close(subscription)

    async def _hear(self, subscription: Any) -> None:
        while True:
            message = await self._read(subscription)
            kind, channel, data = message["type"], message["channel"], message["data"]
            if kind == "subscribe":
                self._missing.discard(channel)
                self._compare.set()
            elif kind == "message":
                self._take(channel.decode(), data)

    async def _read(self, subscription: Any) -> dict[str, Any]:
        try:
            while (message := await subscription.get_message(timeout=None)) is None:
                pass
        except self._broken as error:
            raise Gone(str(error)) from None
        self._heard = time.monotonic()
        return dict(message)

    def _take(self, channel: str, data: bytes) -> None:
        try:
            if channel.startswith(STATE):
                circuit = circuit_from(json.loads(data), self._ears.now())
                self._ears.hear(channel.removeprefix(STATE), circuit)
            else:
                for told in json.loads(data):
                    self._ears.hear_told(told_from(told))
        except (Garbled, ValueError, TypeError) as error:
            log.warning("Redis: what was published on %s makes no sense (%s)", channel, error)

    async def _keep_in_line(self, subscription: Any) -> None:
        """Compare when a subscription has begun, and now and then."""
        self._heard = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE):
                    await self._compare.wait()
            self._compare.clear()
            for provider, circuit in list(self._ears.circuits().items()):
                await self._put(provider, circuit, claim=False, within=PATIENCE)
            await self._ask(subscription.ping(), PATIENCE)
            if time.monotonic() - self._heard > PULSE + 2 * PATIENCE:
                msg = "nothing is heard from the subscription"
                raise Gone(msg)
            if not self._missing and not self._open:
                self._opened()

    def _opened(self) -> None:
        self._open = self._was_open = True
        log.info("Redis connection established at %s", self._settings.place)
        log.info("Redis sync enabled for multi-worker state sharing")
        self._wake.set()
        self.tried.set()

    def _lost(self, error: BaseException) -> None:
        if not self.tried.is_set():
            log.warning("Failed to connect to Redis at %s: %s", self._settings.place, error)
            log.warning("Proceeding without Redis - state sync will be disabled until it answers")
        elif self._was_open:
            log.warning("Redis health check failed: %s", error)
        self._was_open = False
        self.tried.set()

    async def _speak(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._breaker.state is OPEN:
                msg = "it answers too late"
                raise Gone(msg)
            if self._open:
                await self._say()

    async def _say(self) -> None:
        while self._dirty:
            provider = self._dirty.pop()
            circuit = self._ears.circuits()[provider]
            await self._put(provider, circuit, claim=False, within=PATIENCE)
        while self._told:
            batches: dict[str, list[dict[str, Any]]] = {}
            while self._told:
                told = self._told.popleft()
                batches.setdefault(told.provider, []).append(told_to(told))
            for provider, batch in batches.items():
                await self._ask(self._client.publish(CALLS + provider, json.dumps(batch)), PATIENCE)

    async def _put(self, provider: str, circuit: Circuit, *, claim: bool, within: float) -> Circuit:
        """Bring a circuit to Redis, and take over what it holds."""
        fields = circuit_to(provider, circuit, self._ears.now())
        arguments = (
            *(circuit.version, int(circuit.cause == "reset"), circuit.author.tie),
            *(int(1000 * fields["due_in"]), int(1000 * SLACK), int(claim), int(1000 * KEPT)),
            *(STATE + provider, json.dumps(fields)),
        )
        body, due_in = await self._ask(self._client.eval(PUT, 1, STATE + provider, *arguments), within)
        try:
            held = circuit_from(json.loads(body) | {"due_in": int(due_in) / 1000}, self._ears.now())
        except (Garbled, ValueError, TypeError) as error:
            msg = f"what is kept under {STATE}{provider} is not ours ({error})"
            raise Gone(msg) from None
        self._ears.hear(provider, held)
        return held

    async def _ask(self, call: Awaitable[Any], within: float) -> Any:
        ticket = self._breaker.begin(time.monotonic())
        try:
            async with asyncio.timeout(within):
                answer = await call
        except self._broken as error:
            if self._breaker.record(ticket, Verdict.FAILURE, time.monotonic()):
                self._wake.set()
            reason = f"no answer within {within:g} s" if isinstance(error, TimeoutError) else str(error)
            raise Gone(reason) from None
        self._answered = time.monotonic()
        self._breaker.record(ticket, Verdict.SUCCESS, self._answered)
        return answer

    async def _close(self, *also: Any) -> None:
        for one in (*also, self._client):
            with contextlib.suppress(*self._broken):
                async with asyncio.timeout(PATIENCE):
                    await one.aclose()


async def _first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Until one of them ends, or fails."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            with contextlib.suppress(Exception):  # what ended first is what counts
                await ended(task)


def _redis_error() -> type[Exception]:
    try:
        from redis.exceptions import RedisError
    except ImportError:
        msg = "sharing through Redis needs the package `redis`: pip install 'muster[redis]'"
        raise StartupError(msg) from None
    return RedisError


def _client(settings: RedisSettings) -> Any:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    made: Any = RedisCluster if "+cluster://" in settings.url else Redis
    options = {} if settings.password is None else {"password": settings.password}
    try:
        return made.from_url(
            settings.url.replace("+cluster://", "://"),
            protocol=2,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    except ValueError as error:
        raise UsageError([f"--redis: {error}"]) from None
