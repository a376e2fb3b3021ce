"""Waiting for an expectation: judged again whenever the history grows, until the answer is certain."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.evidence import Evidence
from harness.expectation import judge
from harness.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.evidence import Facts
    from harness.history import History
    from harness.model import Expect
    from harness.verdict import Verdict

GLANCE = 0.01
"""Seconds between two judgements at the least."""
SHARE = 5.0
"""A judgement that takes long is repeated no sooner than this many times its own duration."""


def evidence_now(
    history: History, facts: Facts, *, since: float, deadline: float | None, load: str
) -> Evidence:
    """The history so far, cut at the deadline."""
    now = history.now()
    until = now if deadline is None else min(now, deadline)
    return Evidence(records=history.records, since=since, until=until, facts=facts, load=load)


async def await_verdict(
    expect: Expect,
    history: History,
    facts: Facts,
    *,
    since: float,
    load: str = "",
    look: Callable[[], Awaitable[None]] | None = None,
) -> Verdict:
    """Judge an expectation, waiting as its `within` or `for` allows; `look` precedes each judgement."""
    limit = expect.within if expect.within is not None else expect.hold
    deadline = since + limit if limit is not None else None
    while True:
        if look is not None:
            await look()
        seen = len(history.records)
        begun = history.now()
        verdict = judge(expect, evidence_now(history, facts, since=since, deadline=deadline, load=load))
        took = history.now() - begun
        over = deadline is None or history.now() >= deadline
        if over or _certain(expect, verdict):
            return verdict
        with suppress(TimeoutError):
            await asyncio.wait_for(history.more(seen), deadline - history.now() if deadline else None)
        pause = max(GLANCE, SHARE * took)
        await asyncio.sleep(min(pause, max(0.0, deadline - history.now())) if deadline else pause)


def _certain(expect: Expect, verdict: Verdict) -> bool:
    """Whether waiting longer cannot change the verdict."""
    if verdict.status is Status.PASS:
        return expect.within is not None
    return verdict.settled
