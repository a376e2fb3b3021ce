"""What a check is: frozen options and one pure judgement of the history.

A new check is one file: a frozen dataclass whose first field is its main option (`{registered: [a, b]}`),
whose
docstring is its documentation, and one line in `harness.checks.CHECKS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.evidence import Evidence, Facts
    from harness.verdict import Verdict


class Check(Protocol):
    """Judges a history. Never looks at a live service, a clock or the disk."""

    def judge(self, evidence: Evidence) -> Verdict:
        """The verdict on the evidence so far; nothing to judge is *unknown*."""


@runtime_checkable
class WantsViews(Protocol):
    """A check that rests on observations: which service's which view an observer must poll."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """Pairs (service name, view); an empty answer means there is nothing that could be observed."""


@runtime_checkable
class WantsSample(Protocol):
    """A check that says how many requests it needs (`requests: auto`)."""

    def sample(self, facts: Facts, model: str) -> int:
        """The number of requests for which this check keeps its stated error rates."""


@runtime_checkable
class Lints(Protocol):
    """A check that can see before the start that it cannot decide what it is asked."""

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Mistakes, as sentences; `load` holds the options of the load beside it (empty without one)."""
