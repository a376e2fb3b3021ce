"""A model makes one answer of all; where it cannot, the strongest node's answer stands."""

import logging
from collections.abc import Sequence

from system.balancer.aggregation.combining import BEST_CLIENT, Answered, Combined, strongest
from system.balancer.asking import NodeAnswer, NodeFailed

log = logging.getLogger("balancer")

TASK = (
    "Write one answer to the question: keep what the responses agree on, correct what is wrong, and do not "
    "mention the models or the responses."
)


async def combine(answered: Answered) -> Combined:
    """A single answer needs no model."""
    best = strongest(answered.answers)
    if len(answered.answers) == 1:
        return Combined(text=best.text, method=BEST_CLIENT)
    try:
        text, model = await answered.summarizer(summary_prompt(answered.prompt, answered.answers))
    except NodeFailed as error:
        log.warning("no summary: %s; the answer of %s stands", error, best.node)
        return Combined(text=best.text, method=BEST_CLIENT)
    if not text.strip():
        log.warning("no summary: %s said nothing; the answer of %s stands", model, best.node)
        return Combined(text=best.text, method=BEST_CLIENT)
    return Combined(text=text, method=model)


def summary_prompt(prompt: str, answers: Sequence[NodeAnswer]) -> str:
    """What the summarising model is asked."""
    parts = [
        f"Response {number} (Model: {answer.model} - {answer.parameters}):\n{answer.text.strip()}"
        for number, answer in enumerate(answers, 1)
    ]
    asked = f"Several models were asked the same question. Question: {prompt}"
    return "\n\n".join([asked, *parts, TASK])
