"""Check `models`: a model list holds exactly these models, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal

from harness.checks.sight import sight, source_of
from harness.checks.words import after, listed
from harness.options import ModelName, ServiceName
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts

PROTOCOL = "openai"
VIEW = "models"


@dataclass(frozen=True, slots=True)
class Models:
    """The latest model list of a service holds exactly these models, each of them once.

    ```yaml
    expect: {models: [model-1, model-2], at: router, within: 5s}
    expect: {models: all, at: router}
    expect: {models: [], at: router}
    ```
    """

    models: tuple[ModelName, ...] | Literal["all"]
    """The models to find; `all`: every model that the topology or the inventory states."""
    _: KW_ONLY
    at: ServiceName = ""
    """The service whose list is read; empty: the only one that offers the models of others."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The service's model list."""
        source = source_of(facts, self.at, PROTOCOL)
        return [(source, VIEW)] if source else []

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when none is missing, none is extra and none stands there twice."""
        seen = sight(evidence, VIEW, self.at, PROTOCOL)
        if seen.latest is None:
            return unknown(seen.blind)
        wanted = evidence.facts.models() if isinstance(self.models, str) else self.models
        if not wanted and isinstance(self.models, str):
            return unknown("nothing states which models should be listed: name them here or in an inventory")
        listing: list[str] = seen.latest.value["models"]
        wrong = _differences(wanted, listing, evidence)
        if wrong:
            when = after(evidence, evidence.until)
            text = f"{seen.source} lists {listed(listing) or 'nothing'} {when}: {'; '.join(wrong)}"
            late = f"; but {seen.silence}" if seen.silence else ""
            return failed(text + late, evidence=(seen.latest.n,))
        said = f"{listed(listing)}, once each" if listing else "no model"
        return passed(f"{seen.source} lists {said}", evidence=(seen.latest.n,))


def _differences(wanted: Sequence[str], listing: Sequence[str], evidence: Evidence) -> list[str]:
    times = Counter(listing)
    missing = [f"{model} is missing{_offered_by(model, evidence)}" for model in wanted if model not in times]
    extra = [f"{model} was not expected" for model in times if model not in wanted]
    twice = [f"{model} stands there {number} times" for model, number in times.items() if number > 1]
    return [*missing, *extra, *twice]


def _offered_by(model: str, evidence: Evidence) -> str:
    offering = evidence.facts.offering(model)
    return f" (offered by {listed(offering)})" if offering else ""
