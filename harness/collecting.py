"""Scenario files as pytest sees them: a file is a collector, every step an item, nested steps a collector."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.artifacts import claim, make_run_directory
from harness.background import BackgroundRun
from harness.errors import EnvironmentFailure, ScenarioError
from harness.invocation import Invocation, params_of
from harness.plugin import MISTAKES, RUN_DIRECTORY
from harness.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.events import StepJudged
    from harness.model import Scenario, Step

SKIPPED, FAILED = Status.NOT_APPLICABLE, Status.FAIL


class StepNotPassed(Exception):  # an outcome, not an error
    """A step's verdict that is neither pass nor not-applicable."""

    def __init__(self, judged: StepJudged) -> None:
        super().__init__(judged.message)
        self.judged = judged


class ScenarioMistake(Exception):
    """A scenario file that cannot be run as it is written."""


def invocation_of(config: pytest.Config) -> Invocation:
    """The command line, as far as scenarios care."""
    option = config.getoption
    return Invocation(
        hosts=option("hosts"),
        attach=tuple(option("attach")),
        inventory=option("inventory") or "",
        max_requests=option("max_requests"),
        expect_services=option("expect_services"),
        token_file=option("token_file") or "",
        params=params_of(option("param")),
        keep=option("keep"),
        run_dir=option("run_dir") or "",
        reports=tuple(option("report")),
    )


def shared_run_directory(config: pytest.Config) -> Path:
    """The run's directory, made when it is first asked for; xdist's workers use their controller's."""
    given = getattr(config, "workerinput", {}).get("muster_run_dir")
    if RUN_DIRECTORY not in config.stash:
        base = Path(invocation_of(config).run_dir or config.rootpath / "artifacts")
        made = Path(given) if given else make_run_directory(base, time.strftime("%Y-%m-%dT%H-%M-%S"))
        config.stash[RUN_DIRECTORY] = made
    return config.stash[RUN_DIRECTORY]


class RunsScenario(pytest.Collector):
    """A collector whose items are one scenario's: it runs once, in the background, for all of them."""

    scenario: Scenario | None = None
    running: BackgroundRun | None = None

    def nodes(self, scenario: Scenario) -> Iterator[pytest.Collector | pytest.Item]:
        """The steps, then the checks."""
        self.scenario = scenario
        yield from _nodes(self, scenario.steps)
        if scenario.checks:
            yield StepGroup.from_parent(self, name="checks", steps=scenario.checks, own=None)

    def setup(self) -> None:
        """Start the run; only the items that pytest has selected are judged."""
        if self.scenario is None:
            return
        base = shared_run_directory(self.config)
        self.scenario = replace(self.scenario, id=claim(base, self.scenario.id))
        items = [i for i in self.session.items if isinstance(i, StepItem) and i.group is self]
        settings = invocation_of(self.config).settings(
            base=base,
            selected=frozenset(item.step.id for item in items),
            nodeids={item.step.id: item.nodeid for item in items},
            again='pytest "{nodeid}"',
        )
        self.running = BackgroundRun(self.scenario, settings, [item.step.id for item in items])

    def teardown(self) -> None:
        """Wait until the deployment is gone; interrupt it if not all items were wanted in the end."""
        if self.running is None:
            return
        if self.running.stands:
            self.config.get_terminal_writer().line(
                "\nkept: the deployment stands until Ctrl-C or `muster down`"
            )
        self.running.stop()


class ScenarioFile(RunsScenario, pytest.File):
    """One *.scenario.yaml; a file with `params` holds one collector per combination."""

    muster_mistake = False

    def collect(self) -> Iterator[pytest.Collector | pytest.Item]:
        """The items, or every mistake of the file at once."""
        try:
            scenarios = invocation_of(self.config).load(self.path)
        except ScenarioError as error:
            self.muster_mistake = True
            self.config.stash.setdefault(MISTAKES, []).append(str(error))
            raise ScenarioMistake(str(error)) from None
        for scenario in scenarios:
            if scenario.params:
                yield Combination.from_parent(self, name=_combination(scenario), scenario=scenario)
            else:
                yield from self.nodes(scenario)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        """The mistakes, without a traceback."""
        if isinstance(excinfo.value, ScenarioMistake):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))


class Combination(RunsScenario):
    """A scenario with one combination of its `params`."""

    def __init__(self, *, scenario: Scenario, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.scenario = scenario

    def collect(self) -> Iterator[pytest.Collector | pytest.Item]:
        """The scenario's items."""
        assert self.scenario is not None, "set on creation"
        return self.nodes(self.scenario)


def _combination(scenario: Scenario) -> str:
    return "[" + ",".join(f"{name}={value}" for name, value in scenario.params.items()) + "]"


class StepGroup(pytest.Collector):
    """A step with nested steps, or the checks at the end."""

    def __init__(self, *, steps: tuple[Step, ...], own: Step | None, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.steps = steps
        self.own = own

    def collect(self) -> Iterator[pytest.Collector | pytest.Item]:
        """The nested steps, then the step's own verdict: fault proven and healed, load as expected."""
        yield from _nodes(self, self.steps)
        if self.own is not None:
            yield StepItem.from_parent(self, name=f"({self.own.does or 'expect'})", step=self.own)


class StepItem(pytest.Item):
    """One step."""

    def __init__(self, *, step: Step, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.step = step
        self.muster_status = ""
        self.group = next(
            node for node in self.listchain() if isinstance(node, RunsScenario) and node.scenario
        )
        self.extra_keyword_matches.update(self.scenario.tags)

    @property
    def scenario(self) -> Scenario:
        """The scenario it belongs to."""
        assert self.group.scenario is not None, "that is how the group was found"
        return self.group.scenario

    def runtest(self) -> None:
        """Wait for the step's verdict."""
        running = self.group.running
        assert running is not None, "pytest sets the scenario up before its items"
        try:
            judged = running.verdict(self.step.id)
        except EnvironmentFailure:
            self.muster_status = Status.UNKNOWN.value
            raise
        self.muster_status = Status(judged.status).value  # xdist sends plain text only
        self.user_properties.append(("muster", self.muster_status))
        if judged.status == SKIPPED:
            pytest.skip(judged.message)
        if judged.status != Status.PASS:
            raise StepNotPassed(judged)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        """What broke, what was seen, where to look, how to repeat it."""
        if not isinstance(excinfo.value, StepNotPassed):
            return f"{type(excinfo.value).__name__}: {excinfo.value}"
        judged = excinfo.value.judged
        head = f"{self.step.place}  {'::'.join(self.step.path)}   "
        said = "FAILED" if judged.status == FAILED else "UNKNOWN"
        took = f"{said} after {judged.judged - judged.started:.1f} s"
        body = [f"  {judged.message}", *(f"    {line}" for line in judged.details)]
        folder = os.path.relpath(shared_run_directory(self.config) / self.scenario.id)
        look = f"  look at: {folder}"
        return "\n".join([head + took, *body, look, f"  again:   {judged.again}"])

    def reportinfo(self) -> tuple[Path, int, str]:
        """File, line (from 0) and name."""
        return Path(self.step.place.file), max(self.step.place.line - 1, 0), "::".join(self.step.path)


def _nodes(parent: pytest.Collector, steps: tuple[Step, ...]) -> Iterator[pytest.Collector | pytest.Item]:
    for step in steps:
        if step.steps:
            yield StepGroup.from_parent(parent, name=step.name, steps=step.steps, own=step)
        else:
            yield StepItem.from_parent(parent, name=step.name, step=step)
