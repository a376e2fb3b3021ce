"""Check `served_by`: these services answered, all of the requests or a share of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from harness.checks.requests import NOTHING_SENT, WHO_SERVES, is_ok, serving_name
from harness.checks.words import count, listed
from harness.options import RegisteredName
from harness.quantities import Percent
from harness.statistics import share_interval
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts

CONFIDENCE = 0.99
"""Of the interval around the share that a report shows."""


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Every answer came from one of these services, or a share of the answers within these bounds.

    ```yaml
    load: {chat: model-1, at: router, prompt_size: 60K, requests: 50}
    expect: {served_by: [babysitter-a-server]}

    expect: {served_by: [babysitter-c-server], at_most: 20%}
    ```

    The bounds are compared with what was counted, without statistics: leave room around what chance does, or
    ask for a `distribution`. Requests that failed are not counted.
    """

    names: tuple[RegisteredName, ...]
    """Who should have answered; together."""
    _: KW_ONLY
    at_least: Percent | None = None
    """The smallest share that may come from them; without bounds, all."""
    at_most: Percent | None = None
    """The largest share that may come from them."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Bounds that nothing can meet, and nobody to judge."""
        del facts, load
        if not self.names:
            return ["'served_by' names nobody"]
        low, high = self._bounds()
        return [f"nothing is at least {low:.4g} and at most {high:.4g}"] if low > high else []

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when the share is within the bounds."""
        answers = [done for _, done in evidence.requests() if is_ok(done)]
        if not answers:
            return unknown(f"{NOTHING_SENT} and answered, so nobody served any")
        names = [serving_name(done, evidence.facts, self.names) for done in answers]
        if nameless := names.count(""):
            return unknown(f"{nameless} of {count(len(names), 'answer')} went unattributed: {WHO_SERVES}")
        served = Counter(names)
        theirs = sum(served[name] for name in self.names)
        share = theirs / len(names)
        low, high = self._bounds()
        told = f"{listed(self.names)} served {theirs} of {count(len(names), 'answer')} ({_percent(share)})"
        others = {name: number for name, number in served.items() if name not in self.names}
        numbers = {
            "served": dict(served),
            "share": share,
            "interval": share_interval(theirs, len(names), CONFIDENCE),
        }
        if share < low:
            wanted = "all" if low == 1 else f"at least {_percent(low)}"
            return failed(f"{told}, wanted {wanted}; {_others(others, names, answers)}", served_by=numbers)
        if share > high:
            return failed(f"{told}, wanted at most {_percent(high)}", served_by=numbers)
        return passed(told, served_by=numbers)

    def _bounds(self) -> tuple[float, float]:
        if self.at_least is None and self.at_most is None:
            return 1.0, 1.0
        return self.at_least or 0.0, 1.0 if self.at_most is None else self.at_most


def _others(others: Mapping[str, int], names: Sequence[str], answers: Sequence[RequestDone]) -> str:
    first = next((done.id for name, done in zip(names, answers, strict=True) if name in others), "")
    who = listed(f"{name} served {number}" for name, number in sorted(others.items()))
    return f"{who} (first {first})"


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
