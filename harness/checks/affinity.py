"""Check `affinity`: requests of one session are answered by one service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.requests import WHO_SERVES
from harness.checks.sessions import NO_SESSIONS, answers_of
from harness.checks.words import count, listed, sentences
from harness.quantities import Percent
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Affinity:
    """At least this share of the sessions was served by one service each, all the while.

    ```yaml
    load: {chat: model-1, at: router, requests: 200, sessions: 40}
    expect: {affinity: 100%}
    ```

    Sessions with fewer than two answers say nothing; when all sessions went to the same service the verdict
    is *unknown*, as a router that knows one service only would do that, too. What moves when a service leaves
    is judged by `moved`.
    """

    share: Percent
    """The share of sessions to stay where they are."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """A load beside it without sessions."""
        del facts
        if load and not load.get("sessions"):
            return ["the load beside it has no sessions: say 'sessions: 40' there"]
        return []

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when enough sessions had one service."""
        requests = (done for _, done in evidence.requests())
        told = [of for of in answers_of(requests, evidence.facts).values() if len(of) > 1]
        if not told:
            return unknown(NO_SESSIONS)
        if any(not name for of in told for name, _ in of):
            return unknown(WHO_SERVES)
        torn = [of for of in told if len({name for name, _ in of}) > 1]
        whole = (len(told) - len(torn)) / len(told)
        numbers = {"sessions": len(told), "torn": len(torn)}
        if whole < self.share:
            return failed(
                f"{len(torn)} of {count(len(told), 'session')} had more than one service: "
                f"{sentences([_torn(of) for of in torn], 2)}",
                affinity=numbers,
            )
        by = {name for of in told for name, _ in of}
        if len(by) < 2:
            return unknown(f"{listed(by)} served every session, so that nothing shows that sessions matter")
        kept = f"{len(told) - len(torn)} of {count(len(told), 'session')}"
        return passed(f"{kept} had one service each, of {listed(sorted(by))}", affinity=numbers)


def _torn(of: Sequence[tuple[str, RequestDone]]) -> str:
    (first, _), *rest = of
    name, done = next((name, done) for name, done in rest if name != first)
    return f"{done.session} was with {first}, and {done.id} went to {name}"
