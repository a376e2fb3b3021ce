"""Check `availability`: the share of requests that were answered, and the longest time without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.checks.requests import NOTHING_SENT, is_ok, told_all, was_cut_off
from harness.checks.words import clock_time, count
from harness.quantities import Duration, Percent
from harness.statistics import share_interval
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence

CONFIDENCE = 0.99
"""Of the interval around the share that a report shows."""

SHOWN = 10
"""Records of failed requests that a verdict points at."""


@dataclass(frozen=True, slots=True)
class Availability:
    """At least this share of the requests was answered well; a stream counts when it came whole.

    ```yaml
    expect: {availability: 100%}
    expect: {availability: 99%, max_gap: 500ms}
    ```

    A request without an answer in its time limit has failed. One that was still under way when its load
    ended, or when its client left on purpose, is not counted.
    """

    share: Percent
    """The share of requests to be answered."""
    _: KW_ONLY
    max_gap: Duration | None = None
    """The longest time without any good answer."""

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when enough were answered, and none of the gaps was too long."""
        everything = evidence.requests()
        counted = [done for _, done in everything if not was_cut_off(done)]
        if not counted:
            return unknown(_CUT if everything else NOTHING_SENT)
        bad = [done for done in counted if not is_ok(done)]
        good, gap = len(counted) - len(bad), _longest_gap(counted)
        low, high = share_interval(good, len(counted), CONFIDENCE)
        numbers = {
            "wanted": self.share,
            "ok": good,
            "failed": len(bad),
            "cut_off": len(everything) - len(counted),
            "share": good / len(counted),
            "low": low,
            "high": high,
            "gap": {"from": gap[0], "to": gap[1]},
        }
        wrong = self._findings(len(counted), bad, gap)
        if wrong:
            records = [record.n for record, done in everything if done in bad[:SHOWN]]
            return failed("; ".join(wrong), evidence=records, availability=numbers)
        text = f"{good} of {count(len(counted), 'request')} answered; {_without(gap)}"
        return passed(text, availability=numbers)

    def _findings(self, sent: int, bad: Sequence[RequestDone], gap: tuple[float, float]) -> list[str]:
        found = []
        if (sent - len(bad)) / sent < self.share:
            share = _percent((sent - len(bad)) / sent)
            found.append(
                f"{len(bad)} of {count(sent, 'request')} failed, so {share} were answered "
                f"(wanted {_percent(self.share)}; {_without(gap)}): {told_all(bad)}"
            )
        if self.max_gap is not None and gap[1] - gap[0] > self.max_gap:
            found.append(f"{_without(gap)}, at most {self.max_gap:.2f} s are allowed")
        return found


_CUT = "every request was still under way when its load ended, or its client left"


def _longest_gap(requests: Sequence[RequestDone]) -> tuple[float, float]:
    """The longest time, while requests were being sent, in which no good answer arrived."""
    answered = sorted(done.ended for done in requests if is_ok(done))
    begin, end = min(done.started for done in requests), max(done.ended for done in requests)
    return max(pairwise([begin, *answered, end]), key=lambda pair: pair[1] - pair[0])


def _without(gap: tuple[float, float]) -> str:
    when = f"{clock_time(gap[0])} to {clock_time(gap[1])}"
    return f"longest time without an answer {gap[1] - gap[0]:.2f} s ({when})"


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
