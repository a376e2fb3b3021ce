"""What can be seen before the start: expectations that cannot be decided as they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.checks.base import Lints, WantsSample
from harness.evidence import Facts
from harness.faults.base import Lints as LintsFault
from harness.kind_options import options_of
from harness.model import Scenario, Step
from harness.references import Scope, resolve
from harness.yaml_places import Node, Problems


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps and everything nested in them."""
    for step in steps:
        yield step
        yield from walk(step.steps)


def lint(scenario: Scenario, facts: Facts, node: Node, problems: Problems) -> None:
    """Note what cannot be decided."""
    scope = Scope.of((), {host.name: host.address or host.name for host in scenario.topology.hosts})
    every = [*walk(scenario.steps), *scenario.checks]
    for step in every:
        _check_time(step, problems)
        if step.does == "fault" and isinstance(step.action, LintsFault):
            for sentence in step.action.lint(scenario.topology.services):
                problems.add(step.place, sentence)
        load = step.action if step.does == "load" else None
        for expect in step.expects:
            check = resolve(expect.check, scope)
            for sentence in _mistakes(check, facts, load):
                problems.add(expect.place, sentence)
    if scenario.at_least is not None and scenario.at_least > len(every):
        message = f"at_least: {scenario.at_least} steps cannot be judged, the scenario has {len(every)}"
        problems.add(node.value["at_least"], message)


def _check_time(step: Step, problems: Problems) -> None:
    limit = f"the step's limit of {step.limit:g} s; raise its 'limit'"
    needed = 0.0 if step.steps else _time_of(step.action)
    if needed >= step.limit:
        problems.add(step.place, f"{step.does}: {needed:g} s are not less than {limit}")
    for expect in step.expects:
        asked = expect.within if expect.within is not None else expect.hold
        if asked is not None and asked > step.limit:
            word = "within" if expect.within is not None else "for"
            problems.add(expect.place, f"{word}: {asked:g} s are more than {limit}")


def _time_of(action: Any) -> float:
    """The seconds that a wait or a load takes at least, as far as its options say."""
    seconds, rate, requests = (getattr(action, name, None) for name in ("seconds", "rate", "requests"))
    if isinstance(rate, float) and isinstance(requests, int):
        seconds = max(seconds or 0.0, requests / rate)
    return seconds if isinstance(seconds, float) else 0.0


def _mistakes(check: Any, facts: Facts, load: Any) -> list[str]:
    if isinstance(check, Lints):
        return list(check.lint(facts, load_options(load)))
    requests = getattr(load, "requests", None)
    if not isinstance(check, WantsSample) or not isinstance(requests, int):
        return []
    needed = check.sample(facts, str(getattr(load, "model", "")))
    if requests >= needed:
        return []
    return [f"{requests} requests are too few for what is asked: {needed} are needed. Write 'requests: auto'"]


def load_options(load: Any) -> Mapping[str, object]:
    """A load's options by key."""
    return {} if load is None else {o.key: getattr(load, o.field) for o in options_of(type(load))}
