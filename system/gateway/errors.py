"""What can go wrong with a chat, and whose move it is. The words of an error never hold a key.

GatewayError
├── ProviderError             one provider failed; `elsewhere` says whether another may be tried
│   ├── Unauthorized          it does not take our key
│   ├── RateLimited           it wants to be left alone, for `retry_after` seconds if it said so
│   ├── Overloaded            it has no capacity now
│   ├── TimedOut              it took longer than it may
│   ├── ConnectionFailed      it is not reached, or it broke off
│   ├── ProviderFailed        it answered with an error of its own, or with something that is no answer
│   └── BadRequest            the request is mistaken: the caller's move, nobody else is asked
├── NotServed                 no provider was fit for the request: unknown model, unknown provider
├── AllFailed                 every provider was tried and failed; `tried` says how
└── NoneAvailable             nobody was asked: every breaker is open
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one provider: it failed, or was not asked."""

    provider: str
    model: str
    error: str
    """The word for what happened: `timeout`, `rate_limit`, `circuit_open`, ..."""
    why: str
    status: int | None = None
    retry_after: float | None = None

    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class GatewayError(Exception):
    """Whatever a chat can end with; `status` is what an HTTP caller gets."""

    status = 500
    type = "server_error"
    code: str | None = None
    retry_after: float | None = None
    tried: Sequence[Attempt] = ()


class ProviderError(GatewayError):
    """One provider failed."""

    status = 502
    word = "provider"
    elsewhere = True
    """Another provider may be tried."""
    counts = True
    """It is a failure of the provider, for its breaker."""

    def __init__(
        self, provider: str, why: str, *, upstream: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{provider}: {why}")
        self.provider = provider
        self.why = why
        self.upstream = upstream
        self.retry_after = retry_after

    def attempt(self, model: str) -> Attempt:
        return Attempt(
            provider=self.provider,
            model=model,
            error=self.word,
            why=self.why,
            status=self.upstream,
            retry_after=self.retry_after,
        )


class Unauthorized(ProviderError):
    word = "authentication"


class RateLimited(ProviderError):
    word = "rate_limit"


class Overloaded(ProviderError):
    word = "overloaded"


class TimedOut(ProviderError):
    word = "timeout"


class ConnectionFailed(ProviderError):
    word = "connection"


class ProviderFailed(ProviderError):
    word = "provider"


class BadRequest(ProviderError):
    """The provider refuses the request itself; without `upstream` it was not even asked."""

    word = "bad_request"
    type = "invalid_request_error"
    elsewhere = False
    counts = False

    def __init__(self, provider: str, why: str, *, upstream: int | None = None) -> None:
        super().__init__(provider, why, upstream=upstream)
        self.status = upstream or 400
        self.body = b""
        """The refusal as it came, where the client speaks the provider's language."""


class NotServed(GatewayError):
    """Nobody serves what was asked for."""

    status = 404
    type = "invalid_request_error"

    def __init__(self, why: str, *, code: str = "model_not_found", status: int = 404) -> None:
        super().__init__(why)
        self.code = code
        self.status = status


class AllFailed(GatewayError):
    """Every provider that could be asked has failed."""

    status = 502
    code = "all_providers_failed"

    def __init__(self, tried: Sequence[Attempt]) -> None:
        asked = [one for one in tried if one.error not in NOT_ASKED]
        told = "; ".join(f"{one.provider}: {one.error} ({one.why})" for one in tried)
        super().__init__(f"All {len(asked)} provider(s) failed: {told}")
        self.tried = tuple(tried)
        waits = [one.retry_after for one in asked if one.retry_after]
        if all(one.error in BUSY for one in asked):
            self.status = 503
            self.retry_after = min(waits, default=1.0)


class NoneAvailable(GatewayError):
    """No provider may be asked now."""

    status = 503
    code = "no_provider_available"

    def __init__(self, tried: Sequence[Attempt]) -> None:
        names = ", ".join(one.provider for one in tried)
        super().__init__(f"No providers available: all circuit breakers are open ({names})")
        self.tried = tuple(tried)
        self.retry_after = min((one.retry_after or 1.0 for one in tried), default=1.0)


NOT_ASKED = frozenset({"circuit_open", "cannot"})
BUSY = frozenset({"rate_limit", "overloaded"})

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: Unauthorized,
    402: Unauthorized,
    403: Unauthorized,
    408: TimedOut,
    429: RateLimited,
    503: Overloaded,
    504: TimedOut,
    529: Overloaded,
}
_CALLERS = frozenset({400, 413, 422})


def of_status(
    provider: str, status: int, why: str, retry_after: float | None = None, code: str | None = None
) -> ProviderError:
    """The error that a provider's HTTP status stands for; `code` is its word for it, if it has one."""
    if code == "insufficient_quota":
        return ProviderFailed(provider, why, upstream=status)  # a 429 that no patience mends
    if status in _CALLERS:
        return BadRequest(provider, why, upstream=status)
    kind = _BY_STATUS.get(status, ProviderFailed)
    return kind(provider, why, upstream=status, retry_after=retry_after)


def read_retry_after(value: str | None, longest: float = 3600.0) -> float | None:
    """Seconds of a Retry-After header; a date or nonsense asks for nothing."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(seconds, longest) if seconds > 0 else None
