"""What a mock was told to do wrong: pure decisions, the same words for start options and for `/control`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, NamedTuple

from system.config import did_you_mean, settings_of
from system.config_values import Duration, Parse, Unfit


def _whole(least: int, most: int, words: str) -> Parse:
    def read(value: Any) -> int:
        number = int(value) if isinstance(value, int | str) and str(value).isdigit() else -1
        if isinstance(value, bool) or not least <= number <= most:
            raise Unfit(words)
        return number

    return Parse(read, "N")


def _probability(value: Any) -> float:
    words = "a number from 0 to 1"
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Unfit(words) from None
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise Unfit(words)
    return number


Status = Annotated[int, _whole(400, 599, "a status from 400 to 599")]
Count = Annotated[int, _whole(0, 10**9, "a whole number, 0 or more")]
Probability = Annotated[float, Parse(_probability, "P")]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Nothing wrong by default. Not slotted, so that a configuration can inherit these as its options."""

    slow: Annotated[Duration, "wait so long before the first byte of an answer"] = 0.0
    slow_chunks: Annotated[Duration, "wait so long, in addition, before each chunk of a stream"] = 0.0
    fail: Annotated[Status | None, "answer with this status"] = None
    fail_times: Annotated[Count | None, "fail so many requests, then no more"] = None
    fail_for: Annotated[Duration | None, "fail for so long, then no more"] = None
    fail_probability: Annotated[Probability, "fail this share of the requests"] = 1.0
    hang: Annotated[bool, "never answer"] = False
    break_stream: Annotated[Count | None, "close the connection after so many chunks of a stream"] = None
    error_in_stream: Annotated[Count | None, "send an error after so many chunks of a stream"] = None
    rate_limit: Annotated[Duration | None, "answer 429 with this Retry-After"] = None
    unhealthy: Annotated[bool, "answer 503 on /health"] = False


class BadControl(Exception):
    """What is wrong with a control document, all of it, and what is allowed."""


_SETTINGS = {setting.name: setting for setting in settings_of(Faults)}


def faults_of(config: Faults) -> Faults:
    """The faults alone, of a configuration that inherits them."""
    return Faults(**{field.name: getattr(config, field.name) for field in fields(Faults)})


def changed(faults: Faults, document: Any) -> Faults:
    """The faults after a control document: `{"slow": "2s"}` sets, `{"slow": null}` removes."""
    if not isinstance(document, Mapping):
        msg = f"a JSON object is expected; allowed keys: {', '.join(_SETTINGS)}"
        raise BadControl(msg)
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, raw in document.items():
        setting = _SETTINGS.get(key)
        if setting is None:
            mistakes.append(f"unknown key {key}{did_you_mean(key, list(_SETTINGS))}")
            continue
        try:
            values[key] = setting.default if raw is None else setting.shape.read(raw)
        except Unfit as error:
            mistakes.append(f"{key} must be {error}")
    if mistakes:
        raise BadControl("; ".join(mistakes) + f"; allowed keys: {', '.join(_SETTINGS)}")
    return replace(faults, **values)


class Refusal(NamedTuple):
    """An answer that is given instead of the real one."""

    status: int
    retry_after: float | None = None


class Plan:
    """The faults in force since a moment; it counts what it has refused."""

    def __init__(self, faults: Faults, now: float) -> None:
        self.faults = faults
        self.since = now
        self.failed = 0

    def refusal(self, now: float, dice: float) -> Refusal | None:
        """Whether this request is refused; `dice` is uniform in [0, 1)."""
        faults = self.faults
        if faults.rate_limit is not None:
            return Refusal(429, faults.rate_limit)
        if faults.fail is None or dice >= faults.fail_probability:
            return None
        if faults.fail_for is not None and now - self.since >= faults.fail_for:
            return None
        if faults.fail_times is not None and self.failed >= faults.fail_times:
            return None
        self.failed += 1
        return Refusal(faults.fail)
