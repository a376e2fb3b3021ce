"""What a failure on the wire means: for client and backend, and for trying another. Tables only."""

import errno
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from system.breaker import Verdict
from system.router.refusals import BAD_ANSWER, BAD_GATEWAY, NO_CONNECTION, NO_SOCKET, TIMEOUT, Refusal


class Failure(Enum):
    """How an upstream request failed, as seen on the wire."""

    REFUSED = "refused"  # no connection: nothing was sent
    EXHAUSTED = "exhausted"  # this machine has no socket left: not the backend's fault
    CONNECT_TIMEOUT = "connect timeout"
    BROKE = "broke"  # the connection ended before the answer did
    MALFORMED = "malformed"  # what came back is not HTTP/1.1
    SILENT = "silent"  # no first byte, or no next one, in time


class Outcome(Enum):
    """How an attempt ended, as metrics and the access log name it, and what that says about the backend."""

    OK = "ok", Verdict.SUCCESS  # 1xx to 4xx but 429: the backend did its work
    BUSY = "busy", Verdict.NEUTRAL  # 429 and 503: alive, and says not now
    ERROR = "error", Verdict.FAILURE  # any other 5xx
    UNREACHABLE = "unreachable", Verdict.FAILURE
    BROKEN = "broken", Verdict.FAILURE
    TIMEOUT = "timeout", Verdict.FAILURE
    STALE = "stale", Verdict.NEUTRAL  # an old connection was closed as it was used
    CANCELLED = "cancelled", Verdict.NEUTRAL  # the client left
    REFUSED = "refused", Verdict.NEUTRAL  # the router answered by itself

    def __init__(self, word: str, verdict: Verdict) -> None:
        self.word = word
        self.verdict = verdict

    __hash__ = object.__hash__  # Enum's own costs more than what is counted with it

    @staticmethod
    def of_status(status: int) -> "Outcome":
        if status < 500:
            return _BUSY if status == 429 else _OK
        return _BUSY if status == 503 else Outcome.ERROR


_OK, _BUSY = Outcome.OK, Outcome.BUSY  # looking them up in the Enum is slow

RETRIED_STATUSES = frozenset({502, 503, 504})  # the backend, or what is behind it, did not do the work


@dataclass(frozen=True, slots=True)
class Told:
    """A failure's consequences."""

    outcome: Outcome
    refusal: Refusal
    sent: bool
    """The backend may have seen the request: repeating it must be safe."""
    gone: bool = False
    """The backend is not there: leave it at once."""


_OWN_FAULT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def failure_to_connect(error: OSError) -> Failure:
    """Whether a connection failed because of the backend or because of this machine."""
    if isinstance(error, TimeoutError):
        return Failure.CONNECT_TIMEOUT
    return Failure.EXHAUSTED if error.errno in _OWN_FAULT else Failure.REFUSED


FAILURES = {
    Failure.REFUSED: Told(Outcome.UNREACHABLE, NO_CONNECTION, sent=False, gone=True),
    Failure.EXHAUSTED: Told(Outcome.REFUSED, NO_SOCKET, sent=False),
    Failure.CONNECT_TIMEOUT: Told(Outcome.UNREACHABLE, TIMEOUT, sent=False, gone=True),
    Failure.BROKE: Told(Outcome.BROKEN, BAD_GATEWAY, sent=True),
    Failure.MALFORMED: Told(Outcome.BROKEN, BAD_ANSWER, sent=True),
    Failure.SILENT: Told(Outcome.TIMEOUT, TIMEOUT, sent=True),
}

# Computing an answer twice costs time and changes nothing; what stores or creates is not repeated.
SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
REPEATABLE = frozenset({b"/chat/completions", b"/completions", b"/embeddings", b"/rerank", b"/score"})


def is_repeatable(method: bytes, path: bytes) -> bool:
    """Whether a request may be sent twice."""
    return path.removeprefix(b"/v1") in REPEATABLE if method == b"POST" else method in SAFE


def retry_after(value: bytes, now: datetime, longest: float = 60.0) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; nonsense asks for nothing."""
    if value.isdigit():
        return min(float(value), longest)
    try:
        until = parsedate_to_datetime(value.decode("ascii"))
    except ValueError:
        return 0.0
    return min(max(0.0, (until.astimezone(UTC) - now).total_seconds()), longest)
