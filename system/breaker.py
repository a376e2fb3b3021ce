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

SLICES = 10  # of the window


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Verdict(Enum):
    """What an outcome says about the peer."""

    SUCCESS = "success"  # also 4xx: it did its work
    NEUTRAL = "neutral"  # 429, 503, a client that left: nothing
    FAILURE = "failure"  # any other 5xx, no connection, a broken one, silence


# Looking a member up in its Enum costs more than everything else a request does here.
CLOSED, OPEN, HALF_OPEN = State
SUCCESS, NEUTRAL, FAILURE = Verdict


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
        "_good",
        "_openings",
        "_probes",
        "_slice",
        "_slice_ends",
        "_slices",
        "opened_at",
        "rests_until",
        "settings",
        "state",
        "until",
        "version",
    )

    def __init__(self, settings: BreakerSettings) -> None:
        self.settings = settings
        self.state = CLOSED
        self.version = 0
        self.until = 0.0
        self.opened_at = 0.0
        self.rests_until = 0.0  # the peer asked to be left alone until then
        self._openings = 0  # in a row
        self._good = 0  # probes that succeeded in a row
        self._probes: list[float] = []  # when each of the probes under way began
        self._slices = [[-1, 0, 0] for _ in range(SLICES)]  # [which slice of time, successes, failures]
        self._slice = self._slices[0]
        self._slice_ends = float("-inf")

    def permits(self, now: float) -> bool:
        """Whether a request may be sent now. Time alone turns an open breaker half-open, here."""
        if self.state is CLOSED:
            return now >= self.rests_until
        if self.state is OPEN:
            if now < self.until:
                return False
            self._become(HALF_OPEN)
        self._probes = [began for began in self._probes if now - began < self.settings.open_for]
        return len(self._probes) < self.settings.probes and now >= self.rests_until

    def begin(self, now: float) -> int:
        """A request is sent; returns the ticket that `record` wants back."""
        if self.state is HALF_OPEN:
            self._probes.append(now)
        return self.version

    def record(self, ticket: int, verdict: Verdict, now: float) -> bool:
        """A request has ended; returns whether the state changed.

        What was sent before the last transition says nothing about the peer as it is now.
        """
        if ticket != self.version:
            return False
        if self.state is CLOSED:
            if verdict is SUCCESS and now < self._slice_ends:  # as nearly all are
                self._slice[1] += 1
                return False
            return self._count(verdict, now)
        if self.state is HALF_OPEN:
            return self._probed(verdict, now)
        return False

    def rest(self, until: float) -> None:
        """The peer asked to be left alone (Retry-After); only ever extended."""
        self.rests_until = max(self.rests_until, until)

    def reset(self) -> None:
        """Forget everything: the peer is another one now, or somebody says so."""
        self._openings = 0
        self.rests_until = 0.0
        self._become(CLOSED)

    def snapshot(self) -> Snapshot:
        return Snapshot(state=self.state, version=self.version, until=self.until)

    def adopt(self, told: Snapshot, now: float) -> bool:
        """Take over what another process says about the same peer, unless it is old; returns whether the
        state changed.

        `told.until` is on this process's clock.
        """
        if told.version < self.version or (told.version == self.version and told.state is self.state):
            return False
        if told.state is OPEN:
            self.until = max(told.until, self.until if self.state is OPEN else 0.0)
            self.opened_at = now
        changed = self.state is not told.state
        self._become(told.state)
        self.version = told.version
        return changed

    def _count(self, verdict: Verdict, now: float) -> bool:
        if verdict is NEUTRAL:
            return False
        if now >= self._slice_ends:
            self._next_slice(now)
        if verdict is SUCCESS:
            self._slice[1] += 1
            return False
        self._slice[2] += 1
        recent = [one for one in self._slices if one[0] > self._slice[0] - SLICES]
        failures = sum(one[2] for one in recent)
        volume = failures + sum(one[1] for one in recent)
        if volume < self.settings.min_volume or failures < self.settings.failure_share * volume:
            return False
        self._open(now)
        return True

    def _next_slice(self, now: float) -> None:
        length = self.settings.window / SLICES
        number = int(now / length)
        self._slice = self._slices[number % SLICES]
        self._slice[:] = (number, 0, 0)
        self._slice_ends = (number + 1) * length

    def _probed(self, verdict: Verdict, now: float) -> bool:
        if self._probes:
            self._probes.pop(0)
        if verdict is FAILURE:
            self._open(now)
            return True
        self._good += verdict is SUCCESS
        if self._good < self.settings.successes:
            return False
        self._openings = 0
        self._become(CLOSED)
        return True

    def _open(self, now: float) -> None:
        pause = self.settings.open_for * self.settings.growth**self._openings
        self._openings += 1
        self.opened_at = now
        self.until = now + min(pause, self.settings.longest)
        self._become(OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self.version += 1
        self._good = 0
        self._probes = []
        if state is CLOSED:
            self._slices = [[-1, 0, 0] for _ in range(SLICES)]
            self._slice_ends = float("-inf")
