"""Check `streamed`: streams arrive as they are made, not when they are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from harness.checks.requests import NOTHING_SENT, is_ok
from harness.checks.words import count, sentences
from harness.quantities import Percent
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.evidence import Evidence, Facts

FEWEST = 4
"""Chunks of a stream that can show how it came."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """The first chunk of every stream came within this share of the time that the stream took.

    ```yaml
    load: {chat: model-1, at: router, requests: 20, stream: true}
    expect: {streamed: 50%}
    ```

    A stream that somebody collected before passing it on begins when it ends. Streams of fewer than four
    chunks say nothing; make the service slow enough that the pauses between its chunks are what takes time.
    """

    within: Annotated[Percent, Field(gt=0, lt=1)]
    """The share of a stream's time in which its first chunk has to come."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """A load beside it that asks for no streams."""
        del facts
        return (
            ["the load beside it asks for no streams: say 'stream: true'"]
            if load and not load.get("stream")
            else []
        )

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when no stream came late and at once."""
        streams = [done for _, done in evidence.requests() if is_ok(done) and done.chunks >= FEWEST]
        shares = [(_share(done), done) for done in streams]
        if not shares:
            return unknown(f"{NOTHING_SENT} and answered with a stream of {FEWEST} chunks or more")
        late = [one for one in shares if one[0] > self.within]
        latest, _ = max(shares, key=lambda one: one[0])
        numbers = {"n": len(shares), "late": len(late), "latest": latest}
        if late:
            told = sentences([_told(*one) for one in late], 3)
            limit = f"within {self.within * 100:.4g} % of their time"
            return failed(
                f"{len(late)} of {count(len(shares), 'stream')} did not begin {limit}: {told}",
                streamed=numbers,
            )
        return passed(
            f"each of {count(len(shares), 'stream')} began within {latest * 100:.2g} % of its time",
            streamed=numbers,
        )


def _share(done: RequestDone) -> float:
    took = done.ended - done.started
    return (done.first_chunk - done.started) / took if done.first_chunk is not None and took > 0 else 1.0


def _told(share: float, done: RequestDone) -> str:
    who = f" from {done.served_by}" if done.served_by else ""
    took = f"took {done.ended - done.started:.3f} s for {done.chunks} chunks"
    return f"{done.id}{who} {took}, the first of which came after {share * 100:.3g} % of it"
