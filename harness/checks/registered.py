"""Check `registered`: services stand in the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.checks.entries import (
    NOBODY,
    absence,
    broken,
    entries_of,
    entry_views,
    nobody_has,
    stated,
    strangers,
)
from harness.checks.words import after, listed
from harness.options import RegisteredName, ServiceName
from harness.verdict import Verdict, passed, unknown

if TYPE_CHECKING:
    from harness.checks.sight import Sight
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Registered:
    """Every name stands in the latest answer of the registry.

    ```yaml
    expect: {registered: [babysitter-a, babysitter-a-server], within: 10s}
    expect: {registered: all, serving_at_least: 4, within: 10s}
    ```
    """

    names: tuple[RegisteredName, ...] | Literal["all"]
    """The names to find; `all`: every name that the topology or the inventory states."""
    _: KW_ONLY
    at: ServiceName = ""
    """The registry that is asked; empty: the only service that speaks `service_registry`."""
    serving_at_least: int = 0
    """How many healthy entries that offer models there must be, whatever their names; of `all`, at least as
    many as the topology, the inventory or --expect-services asks for."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The registry's entries."""
        return entry_views(facts, self.at)

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when all are there, and enough of them serve."""
        seen = entries_of(evidence, self.at)
        if seen.latest is None:
            return unknown(seen.blind)
        names = stated(self.names, evidence.facts)
        least = self._least(evidence.facts)
        if not names and not least:
            return unknown(NOBODY)
        unheard = strangers(names, seen, evidence.facts)
        missing = [name for name in names if name not in seen.latest.value and name not in unheard]
        serving = _serving(seen.latest.value)
        if missing or len(serving) < least:
            return broken(self._findings(missing, serving, seen, evidence), missing, seen, evidence)
        if unheard:
            return unknown(nobody_has(unheard))
        return passed(self._all_there(len(names), serving, seen, least), evidence=(seen.latest.n,))

    def _least(self, facts: Facts) -> int:
        return max(self.serving_at_least, facts.serving_at_least if self.names == "all" else 0)

    def _findings(
        self, missing: Sequence[str], serving: Sequence[str], seen: Sight, evidence: Evidence
    ) -> list[str]:
        when = after(evidence, evidence.until)
        findings = [absence(name, seen) for name in missing]
        least = self._least(evidence.facts)
        if len(serving) < least:
            who = f" ({listed(serving)})" if serving else ""
            findings.append(
                f"healthy services with models at {seen.source}: {len(serving)}{who}, "
                f"at least {least} should be there"
            )
        findings[-1] += f", {when}"
        return findings

    @staticmethod
    def _all_there(found: int, serving: Sequence[str], seen: Sight, least: int) -> str:
        parts = [f"all {found} names are registered at {seen.source}"] if found else []
        if least:
            parts.append(f"{len(serving)} entries serve models: {listed(serving)}")
        return "; ".join(parts)


def _serving(entries: Mapping[str, Any]) -> list[str]:
    return [name for name, entry in entries.items() if entry["healthy"] and entry["models"]]
