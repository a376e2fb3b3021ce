"""The balancer itself: a question to the fleet, one answer with all that is known about it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from system.balancer.aggregation.combining import Aggregation, Answered, Combined, strongest
from system.balancer.asking import Asker, Listener, NodeAnswer, NodeFailed, Plan, Question, ask_all
from system.balancer.fleet import Fleet
from system.balancer.layout import NO_ANSWERS, NO_NODES, NONE_SEES, laid_out

SUMMARY = "-summary"  # behind a question's id: the summary's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with all its options."""

    question: Question
    plan: Plan
    aggregation: Aggregation
    deadline: float
    """Seconds for everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it. Without an answer `problem` says why, and `text` is that, too."""

    text: str
    layout: str
    method: str
    seconds: float
    nodes: Sequence[NodeAnswer]
    problem: str = ""


class Balancer:
    """Asks the fleet."""

    def __init__(self, fleet: Fleet, asker: Asker) -> None:
        self.fleet = fleet
        self._asker = asker

    async def ask(self, asked: Asked, listener: Listener = lambda _: None) -> Result:
        """Put a question to the nodes of its plan, and combine what they answer within the deadline."""
        began = time.monotonic()
        nodes = self.fleet.nodes
        if not nodes:
            return _without(NO_NODES, began)
        if asked.question.images:
            nodes = [node for node in nodes if node.sees]
            if not nodes:
                return _without(NONE_SEES, began)
        ended = await ask_all(nodes, asked.question, asked.plan, self._asker, asked.deadline, listener)
        answers = [one for one in ended if one.outcome == "answered"]
        if not answers:
            return _without(_nobody(ended), began, ended)
        combined = await self._combined(asked, answers, asked.deadline - (time.monotonic() - began))
        return Result(
            text=combined.text,
            layout=laid_out(combined, answers),
            method=combined.method,
            seconds=time.monotonic() - began,
            nodes=ended,
        )

    async def _combined(self, asked: Asked, answers: Sequence[NodeAnswer], left: float) -> Combined:
        summarize = partial(self._summarize, asked.question.id, strongest(answers).node, left)
        return await asked.aggregation(
            Answered(prompt=asked.question.prompt, answers=answers, summarizer=summarize)
        )

    async def _summarize(self, question: str, by: str, left: float, prompt: str) -> tuple[str, str]:
        """By the strongest node that answered: it is there, and its model is the most able."""
        node = next((node for node in self.fleet.nodes if node.id == by), None)
        if node is None:
            msg = f"{by} has left meanwhile"
            raise NodeFailed(msg)
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await self._asker(node, Question(id=question + SUMMARY, prompt=prompt), lambda _: None)
        except TimeoutError:
            msg = f"{by} did not end it within the deadline"
            raise NodeFailed(msg) from None


def _without(problem: str, began: float, nodes: Sequence[NodeAnswer] = ()) -> Result:
    return Result(
        text=problem,
        layout=problem,
        method="Error",
        seconds=time.monotonic() - began,
        nodes=nodes,
        problem=problem,
    )


def _nobody(ended: Sequence[NodeAnswer]) -> str:
    reasons = (f"{one.node} ({one.model or 'no model'}): {one.reason}" for one in ended)
    return "\n".join([NO_ANSWERS, *reasons])
