"""All answers, one below the other, the strongest node's first."""

from system.balancer.aggregation.combining import Answered, Combined


async def combine(answered: Answered) -> Combined:
    """Each under its node and model."""
    ordered = sorted(answered.answers, key=lambda answer: -answer.score)
    parts = [f"{answer.node} ({answer.model}):\n{answer.text.strip()}" for answer in ordered]
    return Combined(text="\n\n".join(parts), method="All Answers")
