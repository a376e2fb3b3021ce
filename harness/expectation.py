"""When an expectation is judged: once, all the while (`for`), or at no moment (`never`). Pure, on a history.

`judge` gives the verdict on the history so far; asked again with the same evidence, it says the same. The
caller decides how long to wait; a verdict that is `settled` will not change.

A check that rests on observations (WantsViews) has moments: each observation that shows something new. `for`
and `never` look at every one of them. All other checks accumulate (requests, log lines): over a prefix of the
load they would judge a sample that nobody asked for, so they are judged on the window as a whole.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.checks.base import WantsViews
from harness.checks.words import after, clock_time
from harness.events import Called, Combined, Inferred, LogRead, RequestDone, RequestLogged, Seen
from harness.verdict import Status, Verdict, passed, unknown

if TYPE_CHECKING:
    from harness.checks.base import Check
    from harness.evidence import Evidence
    from harness.model import Expect

EPSILON = 1e-9
"""Slack for comparing a moment with a deadline that was computed from the same numbers."""

SHORTEST_DARK = 1.0
"""Seconds for which a view may go unread without a word; longer ones only up to half of the window."""

View = tuple[str, str]
"""A service's name and the name of a view."""

_NOT_STATE = (RequestDone, Combined, Inferred, RequestLogged, LogRead, Called)
"""Events that no check on observations looks at; left out of the prefixes, for speed."""


def judge(expect: Expect, evidence: Evidence) -> Verdict:
    """The verdict of an expectation on the evidence so far; a check that crashes knows nothing."""
    try:
        return _judge(expect, evidence)
    except Exception as error:  # noqa: BLE001  # checks may be anybody's, and one of them must not end a run
        last = traceback.extract_tb(error.__traceback__)[-1]
        return unknown(
            f"the check itself failed with {type(error).__name__}: {error} "
            f"({last.filename}:{last.lineno}); please report this to whoever wrote it",
            settled=True,
        )


def _judge(expect: Expect, evidence: Evidence) -> Verdict:
    if expect.never:
        return _never(expect, evidence)
    if expect.hold is not None:
        return _hold(expect, evidence)
    verdict: Verdict = expect.check.judge(evidence)
    return verdict


def is_over(expect: Expect, evidence: Evidence) -> bool:
    """Whether the evidence reaches to the end of the expectation's window."""
    limit = expect.hold if expect.hold is not None else expect.within
    return limit is None or evidence.until >= evidence.since + limit - EPSILON


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment at which a check could be judged, and what it said then."""

    t: float
    verdict: Verdict


def _hold(expect: Expect, evidence: Evidence) -> Verdict:
    now: Verdict = expect.check.judge(evidence)
    views = _views(expect.check, evidence)
    if not views:
        return now
    held: list[Moment] = []
    for moment in _moments(expect.check, views, evidence):
        if moment.verdict.status is Status.FAIL:
            return _stopped_holding(moment, held, evidence)
        if moment.verdict.status is Status.PASS:
            held.append(moment)
    if not held or now.status is not Status.PASS:
        return now
    if is_over(expect, evidence) and (dark := _dark(views, evidence)):
        return unknown(dark)
    seconds = evidence.until - evidence.since
    return replace(now, message=f"{now.message}; so it stayed for {seconds:.1f} s")


def _stopped_holding(moment: Moment, before: Sequence[Moment], evidence: Evidence) -> Verdict:
    verdict = moment.verdict
    held = f"it held until {clock_time(before[-1].t)}, but " if before else ""
    when = f" (at {clock_time(moment.t)}, {after(evidence, moment.t)})"
    return replace(verdict, message=f"{held}{verdict.message}{when}", settled=True)


def _never(expect: Expect, evidence: Evidence) -> Verdict:
    views = _views(expect.check, evidence)
    if views:
        moments = list(_moments(expect.check, views, evidence))
    else:
        moments = [Moment(evidence.until, expect.check.judge(evidence))] if is_over(expect, evidence) else []
    for moment in moments:
        if moment.verdict.status is Status.PASS:
            when = f"{clock_time(moment.t)}, {after(evidence, moment.t)}"
            return replace(
                moment.verdict,
                status=Status.FAIL,
                message=f"this must never be, but was ({when}): {moment.verdict.message}",
                settled=True,
            )
    return _never_so_far(expect, evidence, moments, views)


def _never_so_far(
    expect: Expect, evidence: Evidence, moments: Sequence[Moment], views: frozenset[View]
) -> Verdict:
    judged = [moment for moment in moments if moment.verdict.status is Status.FAIL]
    if not judged:
        return moments[-1].verdict if moments else unknown_so_far(expect, evidence)
    if not is_over(expect, evidence):
        return unknown(f"not seen so far, {after(evidence, evidence.until)}")
    if dark := _dark(views, evidence):
        return unknown(dark)
    last = judged[-1].verdict
    seconds = evidence.until - evidence.since
    return passed(f"never seen in {seconds:.1f} s; at the end: {last.message}", evidence=last.evidence)


def unknown_so_far(expect: Expect, evidence: Evidence) -> Verdict:
    """What a check says of a window without a single moment to judge: why nothing is known."""
    verdict: Verdict = expect.check.judge(evidence)
    if verdict.status is Status.UNKNOWN:
        return verdict
    return unknown(f"nothing to judge so far, {after(evidence, evidence.until)}")


def _views(check: Check, evidence: Evidence) -> frozenset[View]:
    return frozenset(check.views(evidence.facts)) if isinstance(check, WantsViews) else frozenset()


def _moments(check: Check, views: frozenset[View], evidence: Evidence) -> Iterator[Moment]:
    """Each moment of the window at which an observer showed the check something new, or nothing any more."""
    records = [r for r in evidence.records if r.t <= evidence.until and not isinstance(r.event, _NOT_STATE)]
    answering: dict[View, bool] = {}
    for index, record in enumerate(records):
        event = record.event
        if record.t < evidence.since or not isinstance(event, Seen):
            continue
        view = (event.source, event.view)
        if view in views and (answering.get(view) is not event.ok or (event.ok and not event.same)):
            answering[view] = event.ok
            prefix = replace(evidence, records=records[: index + 1], until=record.t)
            yield Moment(record.t, check.judge(prefix))


def _dark(views: frozenset[View], evidence: Evidence) -> str:
    """Why the window was not watched all the while; empty when no view was out of sight for long."""
    allowed = max(SHORTEST_DARK, (evidence.until - evidence.since) / 2)
    for source, view in sorted(views):
        seen = [r.t for r, e in evidence.of(Seen) if e.ok and (e.source, e.view) == (source, view)]
        for begin, end in pairwise([evidence.since, *seen, evidence.until]):
            if end - begin > allowed:
                return (
                    f"nobody can say what {source} showed from {clock_time(begin)} to {clock_time(end)}: "
                    f"its {view} could not be read{_last_error(evidence, source, view)}"
                )
    return ""


def _last_error(evidence: Evidence, source: str, view: str) -> str:
    errors = [e.error for _, e in evidence.of(Seen) if not e.ok and (e.source, e.view) == (source, view)]
    return f" ({errors[-1]})" if errors else ""
