"""The answer that most nodes gave, spelling and punctuation aside."""

import re

from system.balancer.aggregation.combining import Answered, Combined, strongest
from system.balancer.asking import NodeAnswer

_NOT_A_WORD = re.compile(r"[^\w]+")


async def combine(answered: Answered) -> Combined:
    """In the words of the strongest node that gave it; between equally many the stronger node decides."""
    groups: dict[str, list[NodeAnswer]] = {}
    for answer in answered.answers:
        groups.setdefault(normalized(answer.text), []).append(answer)
    most = max(groups.values(), key=lambda group: (len(group), strongest(group).score))
    return Combined(text=strongest(most).text, method=f"Majority ({len(most)} of {len(answered.answers)})")


def normalized(text: str) -> str:
    """What of a text counts: its words, in lower case."""
    return _NOT_A_WORD.sub(" ", text.casefold()).strip()
