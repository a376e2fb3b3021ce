"""What every way of combining has to do with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from system.balancer.asking import NodeAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """One text out of several answers, and by which method."""

    text: str
    method: str


Summarizer = Callable[[str], Awaitable[tuple[str, str]]]
"""A prompt to a model's text and the model's name; raises NodeFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question, its answers (at least one), and a model that can be asked about them."""

    prompt: str
    answers: Sequence[NodeAnswer]
    summarizer: Summarizer


Aggregation = Callable[[Answered], Awaitable[Combined]]

BEST_CLIENT = "Best Client"


def strongest(answers: Sequence[NodeAnswer]) -> NodeAnswer:
    """The answer of the node with the most points; of equal ones the first."""
    return max(answers, key=lambda answer: answer.score)
