"""The words of scenarios in Python: a running deployment that a test function can disturb and question.

```python
@pytest.mark.topology("topologies/two-servers.yaml")
async def test_a_killed_worker_is_forgotten(deployment: LiveDeployment) -> None:
    async with deployment.fault(Kill("babysitter-c")):
        await deployment.expect(Unregistered(("babysitter-c-server",)), within=2)
```
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.acts import ACTS
from harness.artifacts import PlannedStep, ScenarioDirectory, claim, write_json
from harness.clock import SystemClock
from harness.errors import CheckFailed, EnvironmentFailure, NotApplicable, Place
from harness.events import RunFinished, RunStarted, StepJudged, StepStarted
from harness.explain import explain
from harness.history import History
from harness.hosts.base import Workspace
from harness.hosts.relay import near_url
from harness.manifest import manifest_of
from harness.model import Expect, Scenario, Step
from harness.observers import views_to_watch
from harness.stage import stage_of
from harness.verdict import Status, Verdict, not_applicable, passed, unknown
from harness.waiting import await_verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
    from pathlib import Path

    from harness.acts import Doing
    from harness.checks.base import Check
    from harness.faults.base import Fault
    from harness.load.base import Load
    from harness.model import ServiceSpec, Topology
    from harness.settings import RunSettings
    from harness.stage import Stage

LIMIT = 60.0
"""Seconds an action may take."""


class LiveDeployment:
    """A running topology, with the verbs of a step. Made by the `deployment` fixture."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._history = stage.deployment.history
        self._since: float | None = None
        self._load = ""

    def url(self, service: str) -> str:
        """A service's base URL, for clients of any kind on this machine."""
        return near_url(self._stage.deployment.spec(service).url)

    @asynccontextmanager
    async def fault(self, fault: Fault) -> AsyncIterator[None]:
        """The fault, proven, for as long as the context lasts; healed, proven healed, on leaving."""
        async with self._act("fault", fault) as doing:
            before, self._since = self._since, doing.nested_since
            try:
                yield
            finally:
                self._since = before

    async def load(self, load: Load, expect: Sequence[Check] = ()) -> None:
        """Send traffic to its end; `expect` are checks of just this load."""
        step = _step("load", load, tuple(expect))
        async with ACTS["load"](self._stage, step) as doing:
            for check in expect:
                await self._judge(Expect(check=check, place=step.place), doing.since, doing.load)

    async def start(self, service: str) -> None:
        """Start a service that was stopped, and wait until it is ready."""
        await self._stage.deployment.start(service)
        if service in self._stage.disturbed:
            self._stage.disturbed.remove(service)

    async def stop(self, service: str) -> None:
        """Stop a service as an operator would."""
        self._stage.disturbed.append(service)
        await self._stage.deployment.stop(service)

    async def expect(
        self, check: Check, *, within: float | None = None, hold: float | None = None, never: bool = False
    ) -> Verdict:
        """Judge what has been observed since now, or since the fault around it was proven.

        Raises:
            CheckFailed: the check failed; the text explains itself.
            EnvironmentFailure: there was nothing to judge.

        """
        __tracebackhide__ = True
        expect = Expect(check=check, place=Place("a test"), within=within, hold=hold, never=never)
        since = self._history.now() if self._since is None else self._since
        return await self._judge(expect, since, "")

    async def _judge(self, expect: Expect, since: float, load: str) -> Verdict:
        __tracebackhide__ = True
        facts = self._stage.deployment.facts
        for pair in views_to_watch([expect.check], facts):
            await self._stage.observers.watch(*pair)
        verdict = await await_verdict(
            self._stage.resolve(expect),
            self._history,
            facts,
            since=since,
            load=load,
            look=self._stage.logs.look,
        )
        if verdict.status is Status.PASS:
            return verdict
        details = explain(self._history.records, verdict, since, facts)
        text = "\n".join([verdict.message, *(f"  {line}" for line in details)])
        raise _ERRORS[verdict.status](text)

    @asynccontextmanager
    async def _act(self, does: str, action: Any) -> AsyncIterator[Doing]:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(LIMIT):
                doing = await stack.enter_async_context(ACTS[does](self._stage, _step(does, action)))
            yield doing


_ERRORS = {
    Status.FAIL: CheckFailed,
    Status.UNKNOWN: EnvironmentFailure,
    Status.NOT_APPLICABLE: NotApplicable,
}


def _step(does: str, action: Any, checks: Sequence[Check] = ()) -> Step:
    place = Place("a test")
    expects = tuple(Expect(check=check, place=place) for check in checks)
    return Step(id=does, path=(does,), place=place, does=does, action=action, expects=expects)


class LiveRun:
    """The run around one test function: brought up on creation's loop, torn down by `close`."""

    def __init__(self, name: str, file: Path, line: int, topology: Topology, settings: RunSettings) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._clock = SystemClock()
        self._id = f"{time.strftime('%m%d%H%M%S')}{os.getpid():x}"
        self._settings = settings
        self._step = Step(id="1", path=(name,), place=Place(str(file), line))
        self._scenario = Scenario(
            name=name, file=str(file), id=f"{file.stem}.{name}", topology=topology, steps=(self._step,)
        )
        self._directory = ScenarioDirectory(settings.base / claim(settings.base, self._scenario.id))
        self._verdict: Verdict = unknown("the test did not run")

    def open(self, root: Path) -> LiveDeployment:
        """Bring the topology up."""
        return self._runner.run(self._open(root))

    async def _open(self, root: Path) -> LiveDeployment:
        self._manifest({}, ())
        self._history = History(self._clock, self._directory.history)
        self._history.append(
            RunStarted(run=self._id, scenario=self._scenario.name, hosts_kind=self._settings.hosts_kind)
        )
        workspace = Workspace(
            run=self._id, directory=self._directory, history=self._history, clock=self._clock, root=root
        )
        stage = await self._stack.enter_async_context(
            stage_of(self._scenario.topology, self._settings, workspace, self._manifest)
        )
        self._history.append(StepStarted(path=self._step.path), step=self._step.id)
        return LiveDeployment(stage)

    def _manifest(self, addresses: Mapping[str, str], specs: Sequence[ServiceSpec]) -> None:
        planned = PlannedStep(
            id=self._step.id,
            path=self._step.path,
            does="",
            asks=(),
            file=self._step.place.file,
            line=self._step.place.line,
        )
        manifest = manifest_of(
            self._scenario, self._settings, self._id, self._clock.wall(), addresses, specs, (planned,)
        )
        write_json(self._directory.manifest, manifest.to_json())

    def perform(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test's coroutine; its outcome is the verdict."""
        try:
            self._runner.run(test)
        except CheckFailed as error:
            self._verdict = Verdict(status=Status.FAIL, message=str(error))
            raise
        except NotApplicable as error:
            self._verdict = not_applicable(str(error))
            raise
        except EnvironmentFailure as error:
            self._verdict = unknown(str(error))
            raise
        except BaseException as error:
            self._verdict = Verdict(status=Status.FAIL, message=f"{type(error).__name__}: {error}")
            raise
        self._verdict = passed("the test passed")

    def close(self) -> None:
        """Tear down and write the result."""
        try:
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.close()
            self._conclude(replace(self._verdict))

    def _conclude(self, verdict: Verdict) -> None:
        now = self._history.now()
        judged = StepJudged(
            path=self._step.path, status=verdict.status, message=verdict.message, started=0.0, judged=now
        )
        self._history.append(judged, step=self._step.id)
        self._history.append(RunFinished(status=verdict.status))
        self._history.close()
        counts = {status.value: int(status is verdict.status) for status in Status}
        result = {"status": verdict.status, "cut_short": "", "too_few": "", "counts": counts}
        write_json(self._directory.result, result)
