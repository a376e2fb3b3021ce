"""Check `assigned`: which registered service offers which models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.checks.entries import (
    absence,
    broken,
    entries_of,
    entry_views,
    nobody_has,
    strangers,
)
from harness.checks.words import after, listed
from harness.options import ModelName, RegisteredName, ServiceName
from harness.verdict import Verdict, passed, unknown

if TYPE_CHECKING:
    from harness.checks.sight import Sight
    from harness.evidence import Evidence, Facts


@dataclass(frozen=True, slots=True)
class Assigned:
    """In the latest answer of the registry, each name offers exactly these models; nobody else offers any.

    ```yaml
    expect: {assigned: {babysitter-a-server: [model-1], babysitter-b-server: [model-2]}, within: 10s}
    expect: {assigned: all}
    ```
    """

    offers: Mapping[RegisteredName, tuple[ModelName, ...]] | Literal["all"]
    """Name -> its models; `all`: as the topology or the inventory states."""
    _: KW_ONLY
    at: ServiceName = ""
    """The registry that is asked; empty: the only service that speaks `service_registry`."""
    exactly: bool = True
    """Whether nobody else may offer models."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The registry's entries."""
        return entry_views(facts, self.at)

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when each offers what is stated."""
        seen = entries_of(evidence, self.at)
        if seen.latest is None:
            return unknown(seen.blind)
        offers = evidence.facts.offers() if isinstance(self.offers, str) else self.offers
        if not offers:
            return unknown("nothing states who offers which models: write it here or in an inventory")
        unheard = strangers(offers, seen, evidence.facts)
        findings, names = self._findings(offers, unheard, seen)
        if findings:
            findings[-1] += f", {after(evidence, evidence.until)}"
            return broken(findings, names, seen, evidence)
        if unheard:
            return unknown(nobody_has(unheard))
        who = listed(f"{name} offers {listed(models)}" for name, models in offers.items())
        return passed(who, evidence=(seen.latest.n,))

    def _findings(
        self, offers: Mapping[str, Sequence[str]], unheard: Sequence[str], seen: Sight
    ) -> tuple[list[str], list[str]]:
        """What is wrong in words, and the names that do not offer what they should."""
        entries: Mapping[str, Any] = seen.latest.value if seen.latest else {}
        wrong = {
            name: _difference(name, models, entries, seen)
            for name, models in offers.items()
            if name not in unheard and sorted(models) != _offered(entries, name)
        }
        extra = [
            f"{name} offers {listed(_offered(entries, name) or ())}, which nothing states"
            for name, entry in entries.items()
            if self.exactly and name not in offers and entry["models"]
        ]
        return [*wrong.values(), *extra], list(wrong)


def _offered(entries: Mapping[str, Any], name: str) -> list[str] | None:
    return sorted(entries[name]["models"]) if name in entries else None


def _difference(name: str, wanted: Sequence[str], entries: Mapping[str, Any], seen: Sight) -> str:
    offered = _offered(entries, name)
    if offered is None:
        return absence(name, seen)
    return f"{name} offers {listed(offered) or 'no model'}, but should offer {listed(wanted) or 'none'}"
