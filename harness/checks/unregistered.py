"""Check `unregistered`: the registry has forgotten services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from harness.checks.entries import entries_of, entry_views, nobody_has, strangers
from harness.checks.words import after, beginning, clock_time, listed, sentences
from harness.options import RegisteredName, ServiceName
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.checks.sight import Sight
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Unregistered:
    """No name stands in the latest answer of the registry; each was there before.

    ```yaml
    expect: {unregistered: [babysitter-c-server, babysitter-d-server], within: 8s}
    ```

    A name that has not been seen at all in this run is *unknown*: nothing was forgotten. Where a service must
    not be there yet, say `{registered: [NAME], never: true}`.
    """

    names: tuple[RegisteredName, ...]
    """The names that must be gone."""
    _: KW_ONLY
    at: ServiceName = ""
    """The registry that is asked; empty: the only service that speaks `service_registry`."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The registry's entries."""
        return entry_views(facts, self.at)

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when all that were there are gone."""
        seen = entries_of(evidence, self.at)
        if seen.latest is None:
            return unknown(seen.blind)
        if not self.names:
            return unknown("no name is given that should be unregistered")
        left = [name for name in self.names if name in seen.latest.value]
        if left:
            return failed(_still_there(left, seen, evidence), evidence=(seen.latest.n,))
        unheard = strangers(self.names, seen, evidence.facts)
        if unheard:
            return unknown(nobody_has(unheard))
        unseen = [name for name in self.names if seen.last_with(name) is None]
        if unseen:
            return unknown(
                f"{listed(unseen)} never stood in {seen.source} during this run, so nothing was forgotten"
            )
        gone = [f"{name} was gone {_gone_after(name, seen, evidence)}" for name in self.names]
        return passed(sentences(gone, most=8), evidence=(seen.latest.n,))


def _still_there(left: Sequence[str], seen: Sight, evidence: Evidence) -> str:
    verb = "was" if len(left) == 1 else "were"
    last = seen.latest.t if seen.latest else evidence.until
    text = (
        f"{listed(left)} {verb} still registered at {seen.source} {after(evidence, evidence.until)}, "
        f"last seen at {clock_time(last)}"
    )
    return f"{text}; but {seen.silence}" if seen.silence else text


def _gone_after(name: str, seen: Sight, evidence: Evidence) -> str:
    last = seen.last_with(name)
    first = next((look for look in seen.looks if last is not None and look.t > last.t), None)
    if first is None or first.t < evidence.since:
        return f"before {beginning(evidence)}"
    return after(evidence, first.t)
