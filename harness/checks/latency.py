"""Check `latency`: answers, or the beginning of answers, came within a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.checks.requests import NOTHING_SENT, is_ok
from harness.checks.words import clock_time, count, sentences
from harness.quantities import Duration, Percent
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts

MOMENTS: Mapping[str, str] = {"answer": "ended", "first_byte": "first_byte", "first_chunk": "first_chunk"}
"""What is timed -> the field of a request that says when it came."""


@dataclass(frozen=True, slots=True)
class Latency:
    """At least this share of the answers came within a time, counted from when they were asked for.

    ```yaml
    load: {chat: model-1, at: router, rate: 50/s, for: 3s}
    expect: {latency: 1s}

    load: {chat: model-1, at: router, requests: 20, stream: true}
    expect: {latency: 500ms, of: first_chunk, share: 99%}
    ```

    Only answered requests are timed; `availability` judges the others. A machine under load is slow: bounds
    that hold everywhere are far above what is usual, and far below what the fault would cost.
    """

    bound: Duration
    """The time."""
    _: KW_ONLY
    of: Literal["answer", "first_byte", "first_chunk"] = "answer"
    """Until when: the whole answer, the first byte of its head, or the first chunk of a stream."""
    share: Annotated[Percent, Field(gt=0)] = 1.0
    """How many of them."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """First chunks of what is no stream."""
        del facts
        if load and self.of == "first_chunk" and not load.get("stream"):
            return ["only a stream has chunks: say 'stream: true' in the load"]
        return []

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when enough were in time."""
        timed = [
            (came - done.started, done)
            for _, done in evidence.requests()
            if is_ok(done) and (came := getattr(done, MOMENTS[self.of])) is not None
        ]
        if not timed:
            return unknown(f"{NOTHING_SENT} and answered, so there is nothing to time")
        late = [one for one in timed if one[0] > self.bound]
        in_time = (len(timed) - len(late)) / len(timed)
        longest, _ = max(timed, key=lambda one: one[0])
        numbers = {"of": self.of, "n": len(timed), "late": len(late), "longest": longest}
        if in_time < self.share:
            wanted = "" if self.share == 1 else f" (wanted {self.share * 100:.4g} % in time)"
            return failed(
                f"{len(late)} of {count(len(timed), self._what)} took longer than {self.bound:g} s{wanted}: "
                f"{sentences([_told(*one) for one in late], 3)}",
                latency=numbers,
            )
        return passed(f"the slowest of {count(len(timed), self._what)} took {longest:.3f} s", latency=numbers)

    @property
    def _what(self) -> str:
        return self.of.replace("_", " ")


def _told(seconds: float, done: RequestDone) -> str:
    who = f" from {done.served_by}" if done.served_by else ""
    return f"{done.id} at {clock_time(done.started)} took {seconds:.3f} s{who}"
