"""Check `healthy`: services are registered, and the registry holds them for healthy."""

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
from harness.checks.words import after, clock_time
from harness.options import RegisteredName, ServiceName
from harness.verdict import Verdict, passed, unknown

if TYPE_CHECKING:
    from harness.checks.sight import Sight
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Healthy:
    """Every name stands in the latest answer of the registry and is called healthy there.

    ```yaml
    expect: {healthy: [babysitter-a-server], within: 10s}
    expect: {healthy: all, for: 5s}
    ```
    """

    names: tuple[RegisteredName, ...] | Literal["all"]
    """The names to find healthy; `all`: every name that the topology or the inventory states."""
    _: KW_ONLY
    at: ServiceName = ""
    """The registry that is asked; empty: the only service that speaks `service_registry`."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The registry's entries."""
        return entry_views(facts, self.at)

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when all are there and healthy."""
        seen = entries_of(evidence, self.at)
        if seen.latest is None:
            return unknown(seen.blind)
        names = stated(self.names, evidence.facts)
        if not names:
            return unknown(NOBODY)
        unheard = strangers(names, seen, evidence.facts)
        entries = seen.latest.value
        ill = [name for name in names if name not in unheard and not _is_healthy(entries, name)]
        if ill:
            findings = [_illness(name, entries, seen) for name in ill]
            findings[-1] += f", {after(evidence, evidence.until)}"
            return broken(findings, ill, seen, evidence)
        if unheard:
            return unknown(nobody_has(unheard))
        return passed(f"all {len(names)} are healthy at {seen.source}", evidence=(seen.latest.n,))


def _is_healthy(entries: Mapping[str, Any], name: str) -> bool:
    return name in entries and entries[name]["healthy"]


def _illness(name: str, entries: Mapping[str, Any], seen: Sight) -> str:
    if name not in entries:
        return absence(name, seen)
    since = seen.looks[-1].t
    for look in reversed(seen.looks):
        if _is_healthy(look.value, name):
            break
        since = look.t
    url = entries[name]["url"]
    return f"{name} ({url}) is registered at {seen.source} but unhealthy, since {clock_time(since)}"
