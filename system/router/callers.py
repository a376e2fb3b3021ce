"""Who may call: bearer tokens, each with its models and its rate. Decides only; the time comes in."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any


class Rate:
    """A token bucket: so many requests a minute, and no more than `burst` of them at once."""

    def __init__(self, per_minute: float, burst: float) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, now: float) -> float:
        """0 where a request may go; else the seconds after which one may."""
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._left = min(self._burst, self._left + elapsed * self._per_second)
        if self._left < 1.0:
            return (1.0 - self._left) / self._per_second
        self._left -= 1.0
        return 0.0


class Caller:
    """One of those who may call."""

    def __init__(self, name: str, models: Sequence[str] = ("*",), rate: Rate | None = None) -> None:
        self.name = name
        self.requests = 0
        self._models = tuple(models)
        self._rate = rate
        self._verdicts: dict[str, bool] = {}

    def may_use(self, model: str) -> bool:
        """Whether the model is on this caller's list; its entries may hold `*`."""
        verdict = self._verdicts.get(model)
        if verdict is None:
            verdict = any(fnmatchcase(model, pattern) for pattern in self._models)
            if len(self._verdicts) < 1000:
                self._verdicts[model] = verdict
        return verdict

    def wait(self, now: float) -> float:
        """0 where another request may go; else the seconds after which one may."""
        self.requests += 1
        return 0.0 if self._rate is None else self._rate.take(now)


class Callers:
    """All of them, by token."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, Caller] = {}

    def __iter__(self) -> Iterator[Caller]:
        return iter(dict.fromkeys(self._by_digest.values()))

    def add(self, caller: Caller, token: str) -> None:
        self._by_digest[sha256(token.encode()).digest()] = caller

    def find(self, authorization: bytes) -> Caller | None:
        """Whose token an Authorization header shows; looking up a digest tells nothing about the tokens."""
        scheme, _, shown = authorization.partition(b" ")
        if not hmac.compare_digest(scheme.lower(), b"bearer"):
            return None
        return self._by_digest.get(sha256(shown.strip()).digest())


def read_callers(document: Any, processes: int = 1) -> Callers:
    """The callers of a callers file; raises ValueError with every mistake, one a line."""
    tables = document.get("callers") if isinstance(document, Mapping) else None
    if not isinstance(tables, Mapping) or not tables:
        msg = "expected a table [callers.NAME] with a token for each caller"
        raise ValueError(msg)
    callers, mistakes = Callers(), list[str]()
    for name, table in tables.items():
        problem = _mistake(table)
        if problem:
            mistakes.append(f"callers.{name}: {problem}")
            continue
        per_minute = table.get("requests_per_minute")
        rate = None
        if per_minute is not None:
            burst = table.get("burst", per_minute / 10)
            rate = Rate(per_minute / processes, max(1.0, burst / processes))
        callers.add(Caller(name, table.get("models", ["*"]), rate), table["token"])
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return callers


_KNOWN = {"token", "models", "requests_per_minute", "burst"}


def _mistake(table: Any) -> str | None:
    if not isinstance(table, Mapping):
        return "must be a table"
    unknown = sorted(set(table) - _KNOWN)
    if unknown:
        return f"unknown key {unknown[0]}; known are {', '.join(sorted(_KNOWN))}"
    if not isinstance(table.get("token"), str) or not table["token"]:
        return "needs a token"
    models = table.get("models", [])
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        return "models must be a list of names"
    for key in ("requests_per_minute", "burst"):
        number = table.get(key, 1)
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 1:
            return f"{key} must be a number of at least 1"
    return None
