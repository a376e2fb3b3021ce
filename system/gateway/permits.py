"""What breakers can be told, and what they answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from system.breaker import HALF_OPEN, State
from system.gateway.strategies import Options
from system.gateway.sync.base import SyncSettings
from system.gateway.transitions import Circuit


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
    """Seconds that a request waits at most to win the probe, at each store."""
    sync: SyncSettings = field(default_factory=SyncSettings)


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
    """For people."""
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


class Verdicts(Protocol):
    """Takes what permits report."""

    def succeeded(self, provider: str, epoch: tuple[int, int], seconds: float) -> None: ...

    def failed(self, provider: str, epoch: tuple[int, int], kind: str, seconds: float) -> None: ...

    def abandoned(self, provider: str, epoch: tuple[int, int], rest: float) -> None: ...


class Permit:
    """Leave to call a provider once; wants exactly one verdict, of which the first counts."""

    __slots__ = ("_breakers", "epoch", "open", "probe", "provider")

    def __init__(self, breakers: Verdicts, provider: str, circuit: Circuit) -> None:
        self.provider = provider
        self.probe = circuit.state is HALF_OPEN
        self._breakers = breakers
        self.epoch = circuit.epoch
        self.open = True

    def succeeded(self, seconds: float = 0.0) -> None:
        """The provider did its work, within so many seconds."""
        if self._take():
            self._breakers.succeeded(self.provider, self.epoch, seconds)

    def failed(self, kind: str, seconds: float = 0.0) -> None:
        """It did not: `kind` is a word for people."""
        if self._take():
            self._breakers.failed(self.provider, self.epoch, kind, seconds)

    def abandoned(self, rest: float = 0.0) -> None:
        """Nothing can be said; perhaps the provider wants to be left alone for some seconds."""
        if self._take():
            self._breakers.abandoned(self.provider, self.epoch, rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandoned()

    def _take(self) -> bool:
        was_open, self.open = self.open, False
        return was_open
