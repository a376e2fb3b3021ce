"""Check `circuits`: every process of every gateway holds the same circuits for open, or closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.checks.words import after, listed, sentences
from harness.options import ServiceName
from harness.verdict import Verdict, failed, passed, unknown

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts
    from harness.history import Record

PROTOCOL = "failover_gateway"
VIEW = "circuits"

FRESH = 1.0
"""Seconds for which what a process showed counts, while others answer: no look meets all of them for sure."""

State = Literal["CLOSED", "OPEN", "HALF_OPEN"]
Shown = Mapping[str, Mapping[str, str]]
"""Process -> provider -> state of its circuit."""


@dataclass(frozen=True, slots=True)
class Circuits:
    """Every process of the gateways shows these providers' circuits in this state.

    ```yaml
    expect: {circuits: {openai: OPEN}, workers: 2, within: 1s}
    expect: {circuits: {openai: CLOSED, anthropic: CLOSED}, workers: 4, for: 2s}
    ```

    A gateway is looked at through new connections, each of which meets one process; what a process showed
    counts for a second.
    """

    states: Mapping[str, State]
    """Provider -> the state of its circuit."""
    _: KW_ONLY
    at: tuple[ServiceName, ...] = ()
    """The gateways; empty: every service that speaks `failover_gateway`."""
    workers: Annotated[int, Field(gt=0)] = 1
    """How many processes each of them has; fewer that answer are a failure."""

    def views(self, facts: Facts) -> Sequence[tuple[str, str]]:
        """The circuits of each gateway."""
        return [(name, VIEW) for name in self._gateways(facts)]

    def lint(self, facts: Facts, load: Mapping[str, object]) -> Sequence[str]:
        """Nothing that could be judged."""
        del load
        found = [] if self.states else ["'circuits' names no provider: write '{circuits: {openai: OPEN}}'"]
        for name in self.at:
            service = facts.service(name)
            if service is not None and PROTOCOL not in service.speaks:
                found.append(f"{name} shows no circuits: it does not speak {PROTOCOL}")
        return found

    def judge(self, evidence: Evidence) -> Verdict:
        """Pass when all processes agree with what is stated."""
        gateways = self._gateways(evidence.facts)
        if not gateways:
            return unknown(f"no service speaks {PROTOCOL}, so there is no circuit to look at")
        looks = {name: evidence.observations(VIEW, name) for name in gateways}
        if unseen := [name for name in gateways if not looks[name]]:
            seconds = evidence.until - evidence.since
            return unknown(f"nobody looked at the circuits of {listed(unseen)} in these {seconds:.1f} s")
        findings, records, processes = [], [], 0
        for name in gateways:
            record, seen, _ = looks[name][-1]
            records.append(record.n)
            if not seen.ok:
                findings.append(f"{name} does not show its circuits: {seen.error}")
                continue
            shown = _fresh(looks[name])
            processes += len(shown)
            findings += self._differences(name, shown)
        if findings:
            told = f"{sentences(findings)}, {after(evidence, evidence.until)}"
            return failed(told, evidence=records)
        wanted = listed(f"{provider} {state}" for provider, state in self.states.items())
        return passed(f"{wanted} in all {processes} processes of {listed(gateways)}", evidence=records)

    def _gateways(self, facts: Facts) -> Sequence[str]:
        return self.at or [service.name for service in facts.speaking(PROTOCOL)]

    def _differences(self, name: str, shown: Shown) -> Iterator[str]:
        if len(shown) < self.workers:
            yield f"only {len(shown)} of {self.workers} processes of {name} answered"
        for provider, wanted in self.states.items():
            other = {
                worker: circuits.get(provider, "nothing")
                for worker, circuits in shown.items()
                if circuits.get(provider) != wanted
            }
            if other:
                states = listed(f"{state} in process {worker}" for worker, state in other.items())
                agree = len(shown) - len(other)
                rest = f" ({agree} of {len(shown)} say {wanted})" if agree else ""
                yield f"{name} holds {provider} for {states}, wanted {wanted}{rest}"


def _fresh(looks: Sequence[tuple[Record, object, Shown | None]]) -> Shown:
    """The latest state of each process that was met lately."""
    last = looks[-1][0].t
    met: dict[str, Mapping[str, str]] = {}
    for record, _, value in looks:
        if value is not None and record.t >= last - FRESH:
            met |= value
    return met
