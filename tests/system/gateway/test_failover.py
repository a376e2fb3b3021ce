"""Whom to ask, in which order, and what is said when nobody is left: pure decisions."""

from types import SimpleNamespace
from typing import Any

import pytest

from system.breaker import CLOSED, OPEN
from system.gateway.breakers import Refused
from system.gateway.engine import Engine, Turns
from system.gateway.errors import (
    AllFailed,
    BadRequest,
    NoneAvailable,
    NotServed,
    ProviderError,
    RateLimited,
    TimedOut,
    read_retry_after,
)
from system.gateway.failover import exhausted, in_order, judge, refused, skipped
from system.gateway.pacing import Pacer
from system.gateway.providers import Provider, ProviderSettings, make
from system.gateway.transport import LineTransport
from system.gateway.values import Chat

ASKED: Any = [{"role": "user", "content": "hi"}]


def provider(name: str, model: str, priority: int) -> Provider:
    settings = ProviderSettings(
        kind="compatible", name=name, model=model, priority=priority, base_url="http://127.0.0.1:9/v1"
    )
    return make(settings, LineTransport(Pacer()))


NOBODY: Any = None
A, B, C = provider("a", "m1", 1), provider("b", "m2", 2), provider("c", "m1", 3)


@pytest.mark.parametrize(
    ("chat", "names"),
    [
        (Chat(messages=ASKED), "abc"),
        (Chat(messages=ASKED, model="m1"), "acb"),
        (Chat(messages=ASKED, model="m2"), "bac"),
        (Chat(messages=ASKED, provider="c"), "c"),
        (Chat(messages=ASKED, allows="m1".__eq__), "ac"),
        (Chat(messages=ASKED, allows="m1".__eq__, model="m1"), "ac"),
    ],
)
def test_the_order_is_by_priority(chat: Chat, names: str) -> None:
    """Whoever has the model that is asked for comes first; a caller's models limit it."""
    assert "".join(one.name for one in in_order([A, B, C], chat)) == names


@pytest.mark.parametrize(
    ("chat", "status", "words"),
    [
        (Chat(messages=ASKED, model="m9"), 404, "there is auto, m1, m2"),
        (Chat(messages=ASKED, provider="z"), 404, "Provider 'z' not found; there is a, b, c"),
        (Chat(messages=ASKED, allows="m1".__eq__, model="m2"), 403, "may not use"),
        (Chat(messages=ASKED, allows="m9".__eq__), 403, "may not use"),
    ],
)
def test_what_nobody_serves_is_said(chat: Chat, status: int, words: str) -> None:
    """Unknown is 404 and names what there is; not allowed is 403."""
    with pytest.raises(NotServed, match=words) as caught:
        in_order([A, B, C], chat)
    assert caught.value.status == status


def test_what_is_said_when_nobody_is_left() -> None:
    """Failed: 502. Busy: 503 with the shortest wait. Nobody asked: 503. Nobody could: 400."""
    closed = Refused(provider="a", state=OPEN, reason="open", retry_after=30.0)
    resting = Refused(provider="b", state=CLOSED, reason="asked to be left alone", retry_after=4.0)
    late = TimedOut("b", "late").attempt("m2")
    busy = RateLimited("b", "busy", retry_after=9.0).attempt("m2")
    failed = exhausted([refused(A, closed), late])
    assert (type(failed), failed.status, failed.retry_after) == (AllFailed, 502, None)
    limited = exhausted([refused(A, closed), busy])
    assert (limited.status, limited.retry_after) == (503, 9.0)
    nobody = exhausted([refused(A, closed), refused(B, resting)])
    assert (type(nobody), nobody.status, nobody.retry_after) == (NoneAvailable, 503, 4.0)
    unfit = exhausted([skipped(A, "cannot translate tools")])
    assert (type(unfit), unfit.status) == (NotServed, 400)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TimedOut("a", "late"), ("failed", "timeout", 3.0)),
        (RateLimited("a", "busy", retry_after=9.0), ("abandoned", 9.0)),
        (RateLimited("a", "busy"), ("abandoned", 1.0)),
        (BadRequest("a", "no", upstream=422), ("succeeded", 3.0)),
        (BadRequest("a", "not translated"), ("abandoned",)),
    ],
)
def test_what_a_failure_says_about_the_provider(error: ProviderError, verdict: tuple[object, ...]) -> None:
    """A refusal is work done; a limit asks for a rest; what was never sent says nothing, even of a probe."""
    told: list[tuple[object, ...]] = []
    permit: Any = SimpleNamespace(
        failed=lambda word, seconds: told.append(("failed", word, seconds)),
        succeeded=lambda seconds: told.append(("succeeded", seconds)),
        abandoned=lambda rest=None: told.append(("abandoned",) if rest is None else ("abandoned", rest)),
    )
    judge(permit, error, 3.0)
    assert told == [verdict]


def test_a_long_stream_is_no_slow_call() -> None:
    """What counts is how soon it began; of a whole answer, how long it took."""
    now = [0.0]
    told: list[float] = []
    permit: Any = SimpleNamespace(succeeded=told.append)
    turns = Turns(Engine([A], NOBODY, Pacer(), clock=lambda: now[0]), Chat(messages=ASKED))
    now[0] = 90.0
    turns.succeeded(A, permit, 10.0, None, 12.0)
    turns.succeeded(A, permit, 10.0, None)
    assert told == [2.0, 80.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0.5", 0.5), (None, None), ("soon", None), ("-3", None), ("99999", 3600), ("nan", None)],
)
def test_retry_after_is_read_with_care(value: str | None, seconds: float | None) -> None:
    """Nonsense asks for nothing, and nobody is left alone for days."""
    assert read_retry_after(value) == seconds
