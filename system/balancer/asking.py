"""A question put to several nodes at once: who is asked, when it is enough, who is late. No network.

How a node is asked is an argument. Whoever is not needed any more, or late, is cancelled, and nobody waits
for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from system.balancer.fleet import Node

PlanName = Literal["all", "first", "quorum", "best"]
Outcome = Literal["answered", "failed", "late", "not needed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many are asked, and how many answers are enough. `count` belongs to quorum and best."""

    name: PlanName = "all"
    count: int = 0

    def asked(self, nodes: Sequence[Node]) -> list[Node]:
        """`best` asks those with the most points only."""
        if self.name != "best":
            return list(nodes)
        return sorted(nodes, key=lambda node: -node.score)[: self.count]

    def enough(self, asked: int) -> int:
        """After how many answers nobody else is waited for."""
        return {"all": asked, "best": asked, "first": 1, "quorum": min(self.count, asked)}[self.name]


class PlanError(ValueError):
    """A plan that cannot be."""


def plan_of(name: str, count: int = 0) -> Plan:
    """`all`, `first`, `quorum` or `best`, the last two with a count; raises PlanError."""
    known: tuple[PlanName, ...] = get_args(PlanName)
    found = next((one for one in known if one == name), None)
    if found is None:
        msg = f"there is no plan {name!r}: there are {', '.join(known)}"
        raise PlanError(msg)
    if found in ("quorum", "best") and count < 1:
        msg = f"plan {name} needs a count of 1 or more, not {count}"
        raise PlanError(msg)
    return Plan(name=found, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked; `images` are base64."""

    id: str
    prompt: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a node is, from 0 to 100."""

    node: str
    status: str
    percentage: float
    step: str


class NodeFailed(Exception):
    """A node that cannot be asked, or could not answer; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """What became of one node's part."""

    node: str
    model: str
    parameters: str
    """As people write them: `3B`."""
    score: float
    outcome: Outcome
    text: str = ""
    reason: str = ""
    seconds: float = 0.0


Asker = Callable[[Node, Question, Callable[[Progress], None]], Awaitable[tuple[str, str]]]
"""Puts a question to a node: its text and the model that gave it; raises NodeFailed."""
Listener = Callable[[Progress | NodeAnswer], None]


async def ask_all(
    nodes: Sequence[Node], question: Question, plan: Plan, asker: Asker, deadline: float, listener: Listener
) -> list[NodeAnswer]:
    """What became of everybody who was asked, in the order in which they came to an end."""
    asked = plan.asked(nodes)
    enough = plan.enough(len(asked))
    began = time.monotonic()
    tasks = {asyncio.create_task(_one(node, question, asker, listener)): node for node in asked}
    ended: list[NodeAnswer] = []
    waiting = set(tasks)
    outcome: Outcome = "not needed"
    try:
        while waiting and sum(one.outcome == "answered" for one in ended) < enough:
            left = began + deadline - time.monotonic()
            done, waiting = await asyncio.wait(waiting, timeout=max(0, left), return_when="FIRST_COMPLETED")
            if not done:
                outcome = "late"
                break
            ended += [task.result() for task in done]
        ended += [_unfinished(tasks[task], outcome, began) for task in tasks if task in waiting]
    finally:
        for task in tasks:
            task.cancel()
    for one in ended:
        if one.outcome in ("late", "not needed"):
            listener(one)
    return ended


async def _one(node: Node, question: Question, asker: Asker, listener: Listener) -> NodeAnswer:
    began = time.monotonic()
    node.in_progress += 1
    try:
        text, model = await asker(node, question, listener)
        ended = _ended(node, "answered", began, text=text, model=model)
    except NodeFailed as error:
        ended = _ended(node, "failed", began, reason=str(error))
    finally:
        node.in_progress -= 1
    listener(ended)
    return ended


def _unfinished(node: Node, outcome: Outcome, began: float) -> NodeAnswer:
    reason = "no answer within the deadline" if outcome == "late" else "enough others had answered"
    return _ended(node, outcome, began, reason=reason)


def _ended(
    node: Node, outcome: Outcome, began: float, *, text: str = "", reason: str = "", model: str = ""
) -> NodeAnswer:
    assigned = node.assigned.model
    return NodeAnswer(
        node=node.id,
        model=model or node.model,
        parameters="Unknown" if assigned is None else assigned.shown_parameters,
        score=node.score,
        outcome=outcome,
        text=text,
        reason=reason,
        seconds=time.monotonic() - began,
    )
