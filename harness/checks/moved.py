"""Check `moved`: which sessions changed their service, compared with where they were before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.checks.requests import WHO_SERVES
from harness.checks.sessions import NO_SESSIONS, answers_of
from harness.checks.words import count, listed, sentences
from harness.events import RequestDone
from harness.history import of
from harness.options import RegisteredName
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Moved:
    """No session changed its service, or only those did that were with a service which left (or came).

    ```yaml
    load: {chat: model-1, at: router, requests: 120, sessions: 40}
    expect: {moved: none}

    load: {chat: model-1, at: router, requests: 120, sessions: 40}
    expect: {moved: only, from: [babysitter-c-server]}
    ```

    Compared are each session's last answer before this load and its first in it, at the same router. `from`:
    all of their sessions must be elsewhere, and nobody else's. `to`: who moved is with them now. Where none
    of those named had, or has, a session, the verdict is *unknown*: nothing could have moved.
    """

    which: Literal["none", "only"]
    """Who may have moved."""
    _: KW_ONLY
    left: Annotated[tuple[RegisteredName, ...], Field(alias="from")] = ()
    """With `only`: services that left, whose sessions had to move."""
    came: Annotated[tuple[RegisteredName, ...], Field(alias="to")] = ()
    """With `only`: services that came, to which sessions may have moved."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Options that do not belong together, and a load beside it without sessions."""
        del facts
        found = []
        if (self.which == "only") is not bool(self.left or self.came):
            found.append("'moved: only' says from whom or to whom, 'moved: none' does not")
        if load and not load.get("sessions"):
            found.append("the load beside it has no sessions: say 'sessions: 40' there")
        return found

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when nobody else moved, and everybody did who had to."""
        now = [done for _, done in evidence.requests()]
        if not now:
            return unknown(NO_SESSIONS)
        begun = min(done.started for done in now)
        earlier = [done for _, done in of(evidence.records, RequestDone) if done.ended <= begun]
        was = {key: answers[-1][0] for key, answers in answers_of(earlier, evidence.facts).items()}
        is_ = {key: answers[0] for key, answers in answers_of(now, evidence.facts).items()}
        known = [(was[key], *is_[key]) for key in is_ if key in was]
        if not known:
            return unknown(f"{NO_SESSIONS}, here and before, to compare with")
        if any(not before or not after for before, after, _ in known):
            return unknown(WHO_SERVES)
        return self._compare(known)

    def _compare(self, known: Sequence[tuple[str, str, RequestDone]]) -> Verdict:
        moved = [one for one in known if one[0] != one[1]]
        wrong = [_told(*one) for one in moved if not self._may(*one[:2])]
        stuck = [
            f"{done.session} is still with {name}"
            for name, after, done in known
            if name == after in self.left
        ]
        numbers = {
            "sessions": len(known),
            "moved": len(moved),
            "from": dict(Counter(before for before, _, _ in moved)),
            "to": dict(Counter(after for _, after, _ in moved)),
        }
        told = f"{len(moved)} of {count(len(known), 'session')} moved"
        if wrong:
            allowed = f" beside those {self._allowed()}" if self.which == "only" else ""
            return failed(
                f"{told}, {len(wrong)}{allowed} that had no reason to: {sentences(wrong, 3)}", moved=numbers
            )
        if stuck:
            return failed(f"{told}; {sentences(stuck, 3)}", moved=numbers)
        if self.left and not {before for before, _, _ in known} & set(self.left):
            return unknown(f"{listed(self.left)} had no session before: nothing could have moved")
        if self.came and not {after for _, after, _ in known} & set(self.came):
            return unknown(f"{listed(self.came)} has no session now: nothing shows that any came back")
        return passed(f"{told}, all of them {self._allowed()}" if moved else told, moved=numbers)

    def _may(self, before: str, after: str) -> bool:
        return before in self.left or after in self.came

    def _allowed(self) -> str:
        left = f"from {listed(self.left)}" if self.left else ""
        came = f"to {listed(self.came)}" if self.came else ""
        return " or ".join(filter(None, (left, came)))


def _told(before: str, after: str, done: RequestDone) -> str:
    return f"{done.session} went from {before} to {after} ({done.id})"
