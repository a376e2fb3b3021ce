"""A circuit breaker: leaves whoever keeps failing, tries again carefully. Decides only; the time comes in.

    CLOSED ── too many failures in the window ──> OPEN ── its time is over ──> HALF_OPEN
       ^                                            ^                            │   │
       └────────────── enough probes succeed ───────┼────────────────────────────┘   │
                                                    └──── a probe fails: longer ──────┘

Failures are judged by share, within a window, and only from a minimum volume on: one failure of a quiet peer
says little. What says nothing about the peer (it is busy, the client left) is neutral. Half-open admits few
requests at a time; one that never reports back does not keep its place for ever. An opening is only ever
extended, and every transition has a version, so that what others report late changes nothing.
"""

from dataclasses import dataclass
from enum import Enum

BUCKETS = 10


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Verdict(Enum):
    """What an outcome says about the peer."""

    SUCCESS = "success"  # also 4xx: it did its work
    NEUTRAL = "neutral"  # 429, 503, a client that left: nothing
    FAILURE = "failure"  # any other 5xx, no connection, a broken one, silence


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens, for how long, and what closes it again."""

    window: float = 10.0
    min_volume: int = 10
    failure_share: float = 0.5
    open_for: float = 5.0
    growth: float = 2.0
    longest: float = 60.0
    probes: int = 1
    """Requests that a half-open breaker admits at the same time."""
    successes: int = 2
    """Probes that must succeed, one after the other, to close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A breaker's state as others may be told."""

    state: State
    version: int
    until: float
    """When an open breaker admits its first probe, on the clock of whoever made the snapshot."""


class Breaker:
    """One peer's breaker. `permits` asks; `begin` and `record` surround every request."""

    __slots__ = (
        "_buckets",
        "_good",
        "_openings",
        "_probes",
        "opened_at",
        "rests_until",
        "settings",
        "state",
        "until",
        "version",
    )

    def __init__(self, settings: BreakerSettings) -> None:
        self.settings = settings
        self.state = State.CLOSED
        self.version = 0
        self.until = 0.0
        self.opened_at = 0.0
        self.rests_until = 0.0  # the peer asked to be left alone until then
        self._openings = 0  # in a row
        self._good = 0  # probes that succeeded in a row
        self._probes: list[float] = []  # when each of the probes under way began
        self._buckets = [[-1, 0, 0] for _ in range(BUCKETS)]  # [which slice of time, successes, failures]

    def permits(self, now: float) -> bool:
        """Whether a request may be sent now. Time alone turns an open breaker half-open, here."""
        if self.state is State.CLOSED:
            return now >= self.rests_until
        if self.state is State.OPEN:
            if now < self.until:
                return False
            self._become(State.HALF_OPEN)
        self._probes = [began for began in self._probes if now - began < self.settings.open_for]
        return len(self._probes) < self.settings.probes and now >= self.rests_until

    def begin(self, now: float) -> int:
        """A request is sent; returns the ticket that `record` wants back."""
        if self.state is State.HALF_OPEN:
            self._probes.append(now)
        return self.version

    def record(self, ticket: int, verdict: Verdict, now: float) -> bool:
        """A request has ended; returns whether the state changed.

        What was sent before the last transition says nothing about the peer as it is now.
        """
        if ticket != self.version:
            return False
        if self.state is State.CLOSED:
            return self._count(verdict, now)
        if self.state is State.HALF_OPEN:
            return self._probed(verdict, now)
        return False

    def rest(self, until: float) -> None:
        """The peer asked to be left alone (Retry-After); only ever extended."""
        self.rests_until = max(self.rests_until, until)

    def reset(self) -> None:
        """Forget everything: the peer is another one now, or somebody says so."""
        self._openings = 0
        self.rests_until = 0.0
        self._become(State.CLOSED)

    def snapshot(self) -> Snapshot:
        return Snapshot(state=self.state, version=self.version, until=self.until)

    def adopt(self, told: Snapshot, now: float) -> bool:
        """Take over what another process says about the same peer, unless it is old; returns whether the
        state changed.

        `told.until` is on this process's clock.
        """
        if told.version < self.version or (told.version == self.version and told.state is self.state):
            return False
        if told.state is State.OPEN:
            self.until = max(told.until, self.until if self.state is State.OPEN else 0.0)
            self.opened_at = now
        changed = self.state is not told.state
        self._become(told.state)
        self.version = told.version
        return changed

    def _count(self, verdict: Verdict, now: float) -> bool:
        if verdict is Verdict.NEUTRAL:
            return False
        which = int(now * BUCKETS / self.settings.window)
        bucket = self._buckets[which % BUCKETS]
        if bucket[0] != which:
            bucket[:] = (which, 0, 0)
        if verdict is Verdict.SUCCESS:
            bucket[1] += 1
            return False
        bucket[2] += 1
        recent = [one for one in self._buckets if one[0] > which - BUCKETS]
        failures = sum(one[2] for one in recent)
        volume = failures + sum(one[1] for one in recent)
        if volume < self.settings.min_volume or failures < self.settings.failure_share * volume:
            return False
        self._open(now)
        return True

    def _probed(self, verdict: Verdict, now: float) -> bool:
        if self._probes:
            self._probes.pop(0)
        if verdict is Verdict.FAILURE:
            self._open(now)
            return True
        self._good += verdict is Verdict.SUCCESS
        if self._good < self.settings.successes:
            return False
        self._openings = 0
        self._become(State.CLOSED)
        return True

    def _open(self, now: float) -> None:
        pause = self.settings.open_for * self.settings.growth**self._openings
        self._openings += 1
        self.opened_at = now
        self.until = now + min(pause, self.settings.longest)
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self.version += 1
        self._good = 0
        self._probes = []
        if state is State.CLOSED:
            for bucket in self._buckets:
                bucket[:] = (-1, 0, 0)
