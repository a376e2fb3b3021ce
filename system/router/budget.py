"""How many requests may be sent again: a share, so that retries never multiply an overload. Pure."""


class RetryBudget:
    """Tokens: a request earns a part of one, a retry takes one; a few are there even when it is quiet."""

    def __init__(self, *, share: float = 0.2, per_second: float = 5.0, most: float = 200.0) -> None:
        self._share = share
        self._per_second = per_second
        self._most = most
        self._tokens = 10.0
        self._requests = 0
        self._at: float | None = None

    def take(self, requests: int, now: float) -> bool:
        """Whether one more retry is allowed, given how many requests there were since the start."""
        elapsed = 0.0 if self._at is None else now - self._at
        earned = self._share * (requests - self._requests) + self._per_second * elapsed
        self._requests, self._at = requests, now
        self._tokens = min(self._most, self._tokens + earned)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
