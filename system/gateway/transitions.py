"""What a circuit can become, and which of two statements about it is the later one. Decides only.

    CLOSED ── the strategy says so ──> OPEN ── its time is over, and the probe is won ──> HALF_OPEN
       ^                                 ^                                                   │   │
       └───────── the probe succeeds ────┼───────────────────────────────────────────────────┘   │
                                         └──── the probe fails, or is handed back ───────────────┘

Every process holds a circuit of each provider, every store (Redis, a file of this machine) holds one, too.
A change makes a new circuit with the next version. Of two circuits everybody keeps the one that `supersedes`
says, in whatever order they arrive and however often: so all of them end with the same one. Only the claim
of a probe is stricter: a store grants it to whoever is first to bring the next version.
"""

from dataclasses import dataclass, replace

from system.breaker import CLOSED, HALF_OPEN, OPEN, State

SLACK = 0.25
"""Seconds by which two readings of the same instant may differ after it went through stores and sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """The process that made a change."""

    name: str = ""
    """For people: `host:pid`."""
    tie: int = 0
    """Decides between two changes that were made at the same time; a random number, below 2**48."""


NOBODY = Author()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """How a provider stands."""

    state: State = CLOSED
    version: int = 0
    author: Author = NOBODY
    cause: str = ""
    """One of `failures`, `probe`, `succeeded`, `failed`, `handed back`, `reset`."""
    due: float = 0.0
    """Nobody is admitted before this instant of the holder's clock: OPEN waits for recovery, HALF_OPEN for
    its probe, CLOSED for as long as the provider asked to be left alone."""
    failures: int = 0
    """In a row, as of this change."""
    opened_at: float | None = None
    """Wall time, in seconds; for people only."""
    last_failure: float | None = None
    """Wall time, in seconds; for people only."""

    @property
    def epoch(self) -> tuple[int, int]:
        """What was begun under another epoch says nothing about this one."""
        return self.version, self.author.tie


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Who acts, and when."""

    now: float
    """On the clock that `due` is on; it never goes back."""
    wall: float
    author: Author


def supersedes(told: Circuit, known: Circuit) -> bool:
    """Whether `told` is to be kept instead of `known`; both on the same clock."""
    if _order(told) != _order(known):
        return _order(told) > _order(known)
    return told.due > known.due + SLACK  # extended: a probe that takes longer, a longer rest


def granted(told: Circuit, known: Circuit | None, now: float) -> bool:
    """Whether a store that knows `known` lets whoever brings `told` have the probe."""
    return known is None or (told.version > known.version and now >= known.due - SLACK)


def _order(circuit: Circuit) -> tuple[int, bool, int]:
    return circuit.version, circuit.cause == "reset", circuit.author.tie


def claimable(circuit: Circuit, now: float) -> bool:
    """Whether the time has come for a probe."""
    return circuit.state is not CLOSED and now >= circuit.due


def opened(circuit: Circuit, failures: int, recovery: float, at: Moment) -> Circuit:
    """Too much has failed."""
    return _next(
        circuit,
        at,
        state=OPEN,
        cause="failures",
        due=at.now + recovery,
        failures=failures,
        opened_at=at.wall,
        last_failure=at.wall,
    )


def claimed(circuit: Circuit, lease: float, at: Moment) -> Circuit:
    """One process sends the probe; the others wait for it as long as its lease lasts."""
    return _next(circuit, at, state=HALF_OPEN, cause="probe", due=at.now + lease)


def renewed(circuit: Circuit, lease: float, now: float) -> Circuit:
    """The probe is still under way."""
    return replace(circuit, due=max(circuit.due, now + lease))


def succeeded(circuit: Circuit, at: Moment) -> Circuit:
    """The probe did: the provider is back."""
    return _next(circuit, at, state=CLOSED, cause="succeeded", due=0.0, failures=0, opened_at=None)


def failed(circuit: Circuit, recovery: float, at: Moment) -> Circuit:
    """The probe did: another full wait."""
    return _next(
        circuit,
        at,
        state=OPEN,
        cause="failed",
        due=at.now + recovery,
        failures=circuit.failures + 1,
        opened_at=at.wall,
        last_failure=at.wall,
    )


def handed_back(circuit: Circuit, rest: float, at: Moment) -> Circuit:
    """The probe said nothing about the provider: the next request may be one, after `rest` seconds."""
    return _next(circuit, at, state=OPEN, cause="handed back", due=at.now + rest)


def rested(circuit: Circuit, until: float) -> Circuit:
    """The provider asked to be left alone; only ever extended."""
    return replace(circuit, due=max(circuit.due, until))


def reset(circuit: Circuit, at: Moment) -> Circuit:
    """Somebody says that all is well."""
    return _next(
        circuit, at, state=CLOSED, cause="reset", due=0.0, failures=0, opened_at=None, last_failure=None
    )


def _next(circuit: Circuit, at: Moment, **changes: object) -> Circuit:
    return replace(circuit, version=circuit.version + 1, author=at.author, **changes)  # type: ignore[arg-type]
