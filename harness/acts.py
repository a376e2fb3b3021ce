"""What each role of action does: a context whose entering does it and whose leaving undoes it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from harness.diagnosis import explain_unreachable
from harness.errors import CheckFailed, EnvironmentFailure, NotApplicable
from harness.events import Called, FaultHealed, FaultHealing, FaultProven, FaultRequested, FaultUnproven
from harness.faults import FAULTS
from harness.faults.base import NoReceipt
from harness.load.base import Client
from harness.protocols.http import whole_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from harness.actions import Call, Start, Stop, Wait
    from harness.deployment import Deployment
    from harness.faults.base import Fault, Receipt
    from harness.load.base import Load
    from harness.model import Step
    from harness.stage import Stage

DEFAULT_SAMPLE = 100
"""Requests of `requests: auto` where no check beside the load says how many it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What an action hands to its step: where clocks start (its own, and of nested steps), and which load."""

    since: float
    nested_since: float | None = None
    load: str = ""


@asynccontextmanager
async def nothing(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """A step that only expects."""
    del step
    yield Doing(since=stage.deployment.history.now())


@asynccontextmanager
async def load(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """Send traffic: to its end, or for as long as the nested steps take."""
    since = stage.deployment.history.now()
    traffic: Load = stage.resolve(step.action)
    client = _client(stage, step, traffic)
    if not step.steps:
        await traffic.run(client)
        yield Doing(since=since, load=client.load)
        return
    task = asyncio.create_task(traffic.run(client), name=f"load {client.load}")
    try:
        yield Doing(since=since, load=client.load)
    finally:
        task.cancel()
        ended = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]


def _client(stage: Stage, step: Step, traffic: Load) -> Client:
    deployment = stage.deployment
    urls = {s.name: s.url for s in deployment.facts.services}
    fronts = deployment.facts.speaking("openai") or deployment.facts.services
    return Client(
        load=stage.next_id("load"),
        history=deployment.history,
        facts=deployment.facts,
        urls=urls | {"": fronts[0].url if fronts else ""},
        identity=_identity(deployment, traffic.at),
        pattern=next(
            (s.served_by.content for s in deployment.specs() if s.served_by and s.served_by.content), ""
        ),
        requests=_sample(stage, step),
        headers=stage.settings.headers,
        cap=stage.settings.max_requests,
        id_prefix=stage.id_prefix,
    )


def _identity(deployment: Deployment, at: str) -> tuple[str, ...]:
    """The identity headers of all services, those of the service that is asked first."""
    specs = sorted(deployment.specs(), key=lambda spec: spec.name != at and "openai" not in spec.speaks)
    return tuple(
        dict.fromkeys(s.served_by.header.lower() for s in specs if s.served_by and s.served_by.header)
    )


def _sample(stage: Stage, step: Step) -> int:
    facts = stage.deployment.facts
    model = str(getattr(step.action, "model", ""))
    wanted = [e.check.sample(facts, model) for e in step.expects if hasattr(e.check, "sample")]
    needed = max(wanted, default=DEFAULT_SAMPLE)
    cap = stage.settings.max_requests
    return needed if cap is None else min(needed, cap)


@asynccontextmanager
async def fault(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """Disturb, with a receipt; heal, with a receipt. Health is looked at before and after."""
    deployment, history = stage.deployment, stage.deployment.history
    disturbance: Fault = stage.resolve(step.action)
    if disturbance.needs in deployment.hosts.cannot:
        raise NotApplicable(deployment.hosts.cannot[disturbance.needs])
    names = {
        "fault": stage.next_id("fault"),
        "what": FAULTS.name_of(type(disturbance)),
        "target": disturbance.target,
    }
    hit = [target.service for target in deployment.targets(disturbance.target)]
    _all_up(stage, f"before {names['what']} {names['target']}")
    begun = history.now()
    history.append(FaultRequested(**names, hits=tuple(hit)))
    context = disturbance.inject(deployment)
    receipt = await _with_receipt(stage, context.__aenter__(), names, "effect")
    proven = history.append(FaultProven(**names, after=history.now() - begun, receipt=receipt.effect))
    stage.disturbed.extend(hit)
    try:
        yield Doing(since=proven.t, nested_since=proven.t)
    finally:
        await _heal(stage, context, receipt, names)
        for service in set(hit) - set(deployment.down()):
            stage.disturbed.remove(service)
    _all_up(stage, f"after {names['what']} {names['target']} was healed")


async def _heal(
    stage: Stage, context: AbstractAsyncContextManager[Receipt], receipt: Receipt, names: Mapping[str, str]
) -> None:
    history = stage.deployment.history
    begun = history.now()
    history.append(FaultHealing(**names))
    await _with_receipt(stage, context.__aexit__(None, None, None), names, "healing")
    history.append(FaultHealed(**names, after=history.now() - begun, receipt=receipt.healed))


async def _with_receipt(stage: Stage, doing: Any, names: Mapping[str, str], phase: str) -> Any:
    try:
        return await doing
    except (NoReceipt, EnvironmentFailure, CheckFailed) as error:
        stage.deployment.history.append(FaultUnproven(**names, phase=phase, reason=str(error)))
        raise


def _all_up(stage: Stage, when: str) -> None:
    down = [name for name in stage.deployment.down() if name not in stage.disturbed]
    if down:
        msg = f"{', '.join(down)} did not run {when}: nothing after it can be judged"
        raise EnvironmentFailure(msg)


@asynccontextmanager
async def start(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """Start a service that was stopped by an earlier step."""
    since = stage.deployment.history.now()
    stage.deployment.starts()
    action: Start = stage.resolve(step.action)
    for target in stage.deployment.targets(action.service):
        await stage.deployment.start(target.service)
        if target.service in stage.disturbed:
            stage.disturbed.remove(target.service)
    yield Doing(since=since)


@asynccontextmanager
async def stop(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """Stop a service as an operator would; it stays down until a `start`."""
    since = stage.deployment.history.now()
    stage.deployment.starts()
    action: Stop = stage.resolve(step.action)
    for target in stage.deployment.targets(action.service):
        stage.disturbed.append(target.service)
        await stage.deployment.stop(target.service)
    yield Doing(since=since)


@asynccontextmanager
async def wait(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """Let time pass, while observers and loads go on."""
    since = stage.deployment.history.now()
    action: Wait = stage.resolve(step.action)
    await asyncio.sleep(action.seconds)
    yield Doing(since=since)


@asynccontextmanager
async def call(stage: Stage, step: Step) -> AsyncIterator[Doing]:
    """One HTTP request, its answer recorded whole."""
    history = stage.deployment.history
    since = history.now()
    action: Call = stage.resolve(step.action)
    request = {"headers": dict(action.headers), "json": action.json, "content": action.body}
    try:
        answer = await stage.http.request(
            action.method, action.http, **{k: v for k, v in request.items() if v}
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = explain_unreachable(action.http, error)
        history.append(Called(method=action.method, url=action.http, took=history.now() - since, error=why))
    else:
        took = history.now() - since
        history.append(Called(method=action.method, url=action.http, took=took, **whole_answer(answer)))
    yield Doing(since=since)


ACTS: Mapping[str, Callable[[Stage, Step], AbstractAsyncContextManager[Doing]]] = {
    "": nothing,
    "call": call,
    "fault": fault,
    "load": load,
    "start": start,
    "stop": stop,
    "wait": wait,
}
