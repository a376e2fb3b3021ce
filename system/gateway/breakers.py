"""The breakers of all providers, as one process sees them; what they know is shared with all other processes.

    async with opened(settings) as breakers:
        admitted = await breakers.admit("openai")      # at once, from memory; see below
        if isinstance(admitted, Refused):
            ...                                        # try the next provider; admitted.retry_after
        else:
            with admitted as permit:                   # left without a verdict: abandoned
                ...                                    # call the provider, then one of
                permit.succeeded(seconds)
                permit.failed("timeout", seconds)
                permit.abandoned(rest=retry_after)     # rate limited; without rest: the caller's fault, left

`admit` suspends only where a probe is due: then one request of this process asks the stores for it, for at
most `claim_within` seconds, and all others are refused meanwhile. A provider that asked for a rest is
refused until then, with its circuit closed. `view` and `link` are for people and pages, and never suspend;
`reset` reaches everybody. An unknown provider is a KeyError: names are fixed when the breakers are opened.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from system.breaker import HALF_OPEN, OPEN, State
from system.gateway.standing import Answer, Standing, Terms
from system.gateway.strategies import STRATEGIES, Options
from system.gateway.transitions import Author, Circuit, Moment

log = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """Which providers there are, when their breakers open, and with whom the news is shared."""

    providers: tuple[str, ...]
    strategy: str = "consecutive"
    """A name of STRATEGIES."""
    options: Options = field(default_factory=Options)
    recovery: float = 60.0
    """Seconds that an open circuit waits for its probe."""
    lease: float = 10.0
    """Seconds after which another process may probe, if whoever does has fallen silent."""
    claim_within: float = 0.1
    """Seconds that a request waits at most to win the probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """One that never goes back, to decide by, and the wall's, to show; in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider is not to be asked now."""

    provider: str
    state: State
    reason: str
    """For people: `open`, `probed by another request`, `asked to be left alone`."""
    retry_after: float
    """Seconds until it makes sense to ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """A breaker, for people. Times are seconds since 1970."""

    provider: str
    state: State
    """Its `name` is CLOSED, OPEN or HALF_OPEN."""
    failure_count: int
    success_count: int
    """Of this process, since the last reset."""
    last_failure_time: float | None
    last_success_time: float | None
    opened_at: float | None
    due_at: float | None
    """When the next probe, or the next request at all, is admitted; None if that is now."""
    version: int
    changed_by: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """With whom this process shares what it knows, at this moment."""

    sync_enabled: bool = False
    """Others are told and heard: over Redis, or on this machine."""
    redis_connected: bool = False
    """Redis has answered within the last moments."""
    detail: str = "this process is on its own"


class Breakers(Protocol):
    """What the gateway asks before and tells after every call."""

    async def admit(self, provider: str) -> "Permit | Refused": ...

    def view(self, provider: str) -> BreakerView: ...

    async def reset(self, provider: str) -> None: ...

    @property
    def link(self) -> SyncView: ...


class Permit:
    """Leave to call a provider once; wants exactly one verdict, of which the first counts."""

    __slots__ = ("_breakers", "_epoch", "_open", "probe", "provider")

    def __init__(self, breakers: "SharedBreakers", provider: str, circuit: Circuit) -> None:
        self.provider = provider
        self.probe = circuit.state is HALF_OPEN
        self._breakers = breakers
        self._epoch = circuit.epoch
        self._open = True

    def succeeded(self, seconds: float = 0.0) -> None:
        """The provider did its work, within so many seconds."""
        if self._take():
            self._breakers.succeeded(self.provider, self._epoch, seconds)

    def failed(self, kind: str, seconds: float = 0.0) -> None:
        """It did not: `kind` is a word for people."""
        if self._take():
            self._breakers.failed(self.provider, self._epoch, kind, seconds)

    def abandoned(self, rest: float = 0.0) -> None:
        """Nothing can be said; perhaps the provider wants to be left alone for some seconds."""
        if self._take():
            self._breakers.abandoned(self.provider, self._epoch, rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandoned()

    def _take(self) -> bool:
        was_open, self._open = self._open, False
        return was_open


@asynccontextmanager
async def opened(settings: BreakerSettings, clocks: Clocks | None = None) -> AsyncIterator[Breakers]:
    """The breakers of this process; entered when it knows what the others know."""
    yield SharedBreakers(settings, clocks or Clocks())


class SharedBreakers:
    """Standings and links, joined."""

    def __init__(self, settings: BreakerSettings, clocks: Clocks) -> None:
        self._settings = settings
        self._clocks = clocks
        self._author = Author(name=f"{socket.gethostname()}:{os.getpid()}", tie=secrets.randbits(48))
        strategy = STRATEGIES[settings.strategy]
        terms = Terms(
            recovery=settings.recovery, lease=settings.lease, slow_after=settings.options.slow_after
        )
        self._standings = {
            name: Standing(terms, lambda: strategy(settings.options)) for name in settings.providers
        }
        self._claiming: set[str] = set()

    async def admit(self, provider: str) -> Permit | Refused:
        standing = self._standings[provider]
        answer = standing.ask(self._clocks.monotonic())
        if answer is Answer.GO:
            return Permit(self, provider, standing.circuit)
        if answer is Answer.WAIT or provider in self._claiming:
            return self._refusal(provider)
        self._claiming.add(provider)
        try:
            await asyncio.sleep(0)
            standing.adopt(standing.to_claim(self._moment()))
        finally:
            self._claiming.discard(provider)
        return Permit(self, provider, standing.circuit)

    def view(self, provider: str) -> BreakerView:
        standing = self._standings[provider]
        circuit, wait = standing.circuit, standing.circuit.due - self._clocks.monotonic()
        return BreakerView(
            provider=provider,
            state=circuit.state,
            failure_count=standing.failures,
            success_count=standing.successes,
            last_failure_time=standing.last_failure,
            last_success_time=standing.last_success,
            opened_at=circuit.opened_at,
            due_at=self._clocks.wall() + wait if wait > 0 else None,
            version=circuit.version,
            changed_by=circuit.author.name,
            cause=circuit.cause,
        )

    async def reset(self, provider: str) -> None:
        self._changed(provider, self._standings[provider].reset(self._moment()))

    @property
    def link(self) -> SyncView:
        return SyncView()

    def succeeded(self, provider: str, epoch: tuple[int, int], seconds: float) -> None:
        self._changed(provider, self._standings[provider].succeeded(epoch, seconds, self._moment()))

    def failed(self, provider: str, epoch: tuple[int, int], kind: str, seconds: float) -> None:
        circuit, _ = self._standings[provider].failed(epoch, seconds, self._moment())
        self._changed(provider, circuit)

    def abandoned(self, provider: str, epoch: tuple[int, int], rest: float) -> None:
        self._changed(provider, self._standings[provider].abandoned(epoch, rest, self._moment()))

    def _changed(self, provider: str, circuit: Circuit | None) -> None:
        if circuit is not None:
            log.info("circuit of %s: %s (%s)", provider, circuit.state.name, circuit.cause)

    def _moment(self) -> Moment:
        return Moment(now=self._clocks.monotonic(), wall=self._clocks.wall(), author=self._author)

    def _refusal(self, provider: str) -> Refused:
        circuit = self._standings[provider].circuit
        reasons = {OPEN: "open", HALF_OPEN: "probed by another request"}
        return Refused(
            provider=provider,
            state=circuit.state,
            reason=reasons.get(circuit.state, "asked to be left alone"),
            retry_after=max(0.0, circuit.due - self._clocks.monotonic()),
        )
