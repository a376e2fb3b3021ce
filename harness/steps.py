"""Performing steps: each action is a context, each expectation is awaited, each verdict recorded."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from harness.acts import ACTS
from harness.errors import CheckFailed, HarnessBug, MusterError, NotApplicable
from harness.events import StepJudged, StepStarted
from harness.explain import explain
from harness.history import current_step
from harness.observers import views_to_watch
from harness.verdict import Status, failed, merge_verdicts, not_applicable, passed, unknown
from harness.waiting import await_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.acts import Doing
    from harness.model import Expect, Step
    from harness.stage import Stage
    from harness.verdict import Verdict


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps and everything nested in them, parents first."""
    for step in steps:
        yield step
        yield from walk(step.steps)


@contextmanager
def on_behalf_of(step: Step) -> Iterator[None]:
    """Whatever is recorded meanwhile is recorded for this step."""
    token = current_step.set(step.id)
    try:
        yield
    finally:
        current_step.reset(token)


class Performer:
    """Performs steps in order, nested ones inside their parent's action; one verdict per selected step."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._history = stage.deployment.history
        self._verdicts: dict[str, Verdict] = {}
        self._halted = ""
        self._left_out: dict[str, Verdict] = {}

    async def perform(self, steps: Sequence[Step], since: float | None = None) -> None:
        """Perform the steps; `since` is where the clocks of expectations start inside a fault."""
        for step in steps:
            self._halted = self._halted or self._history.lost
            if self._halted:
                self.leave_out(step, unknown(f"not run: {self._halted}"))
            elif step.presumes in self._left_out:
                self.leave_out(step, self._left_out[step.presumes])
            else:
                await self._perform_one(step, since)

    def leave_out(self, step: Step, verdict: Verdict) -> None:
        """Record one verdict for a step that is not run, and for all below it."""
        for each in walk((step,)):
            self.record(each, verdict, self._history.now())

    async def _perform_one(self, step: Step, since: float | None) -> None:
        started = self._history.now()
        with on_behalf_of(step):
            self._history.append(StepStarted(path=step.path))
            try:
                verdict = merge_verdicts(await self._act(step, since))
            except NotApplicable as error:
                verdict = self._left_out[step.name] = not_applicable(str(error))
                self._leave_nested_out(step, verdict)
            except Exception as error:  # noqa: BLE001  # whatever an action raises ends the steps, not the recording
                verdict = self._halt(step, error)
        if step.required and verdict.status in (Status.FAIL, Status.UNKNOWN) and not self._halted:
            self._halted = f"'{step.name}' is required and did not pass"
        self.record(step, verdict, started)

    async def _act(self, step: Step, since: float | None) -> list[Verdict]:
        if step.nothing:
            return [unknown(step.nothing)]
        expects = tuple(self._stage.resolve(expect) for expect in step.expects)
        for pair in views_to_watch([expect.check for expect in expects], self._stage.deployment.facts):
            await self._stage.observers.watch(*pair)
        lasts = step.does == "load" and bool(step.steps)
        verdicts: list[Verdict] = []
        async with AsyncExitStack() as stack:
            doing = await self._enter(stack, step)
            if not lasts:
                verdicts = await self._judge(expects, doing, since if not step.does else None)
            await self.perform(step.steps, doing.nested_since)
        if lasts:
            self._stop_where_nothing_happened(step)
            verdicts = await self._judge(expects, doing, None)
        return verdicts or [passed("done")]

    def _stop_where_nothing_happened(self, step: Step) -> None:
        """A load whose nested steps were all not applicable lasted for nothing."""
        nested = [self._verdicts[inner.id] for inner in step.steps]
        if all(verdict.status is Status.NOT_APPLICABLE for verdict in nested):
            raise NotApplicable(nested[0].message)

    async def _enter(self, stack: AsyncExitStack, step: Step) -> Doing:
        try:
            async with asyncio.timeout(step.limit):
                return await stack.enter_async_context(ACTS[step.does](self._stage, step))
        except TimeoutError as error:
            msg = f"'{step.does}' was not done within the step's limit of {step.limit:g} s"
            raise MusterError(msg) from error

    async def _judge(self, expects: Sequence[Expect], doing: Doing, since: float | None) -> list[Verdict]:
        stage = self._stage
        return [
            await await_verdict(
                expect,
                self._history,
                stage.deployment.facts,
                since=doing.since if since is None else since,
                load=doing.load,
                look=stage.logs.look,
            )
            for expect in expects
        ]

    def _halt(self, step: Step, error: Exception) -> Verdict:
        text = str(error) if isinstance(error, MusterError) else _bug(error)
        self._halted = f"'{step.name}' could not be done"
        self._leave_nested_out(step, unknown(f"not run: {self._halted}"))
        return failed(text) if isinstance(error, CheckFailed) else unknown(text)

    def _leave_nested_out(self, step: Step, verdict: Verdict) -> None:
        for nested in step.steps:
            self.leave_out(nested, verdict)

    def record(self, step: Step, verdict: Verdict, started: float) -> None:
        """Record a step's verdict, once, if the step is selected."""
        selected = self._stage.settings.selected
        if step.id in self._verdicts:
            return
        if self._history.lost and verdict.status in (Status.PASS, Status.FAIL):
            verdict = unknown(self._history.lost)
        self._verdicts[step.id] = verdict
        if selected is not None and step.id not in selected:
            return
        now = self._history.now()
        with on_behalf_of(step):
            self._history.append(
                StepJudged(
                    path=step.path,
                    status=verdict.status,
                    message=verdict.message,
                    started=started,
                    judged=now,
                    limit=next((e.within for e in step.expects if e.within is not None), None),
                    evidence=verdict.evidence[:50],
                    numbers=verdict.numbers,
                    details=self._details(verdict, started),
                    again=self._again(step),
                )
            )

    def _details(self, verdict: Verdict, started: float) -> tuple[str, ...]:
        if verdict.status in (Status.PASS, Status.NOT_APPLICABLE) or verdict.message.startswith("not run"):
            return ()
        return explain(self._history.records, verdict, started, self._stage.deployment.facts)

    def _again(self, step: Step) -> str:
        nodeid = self._stage.settings.nodeids.get(step.id, step.id)
        return self._stage.settings.again.format(nodeid=nodeid)


def _bug(error: Exception) -> str:
    lines = traceback.format_exception(error)
    where = next((line.strip() for line in reversed(lines) if line.lstrip().startswith("File ")), "")
    return str(
        HarnessBug(f"muster itself failed, please report it: {type(error).__name__}: {error} ({where})")
    )
