"""Functions whose results a provider writes: the return annotation decides what they give.

Set OPENAI_API_KEY and/or ANTHROPIC_API_KEY and run `python decorated.py`.
"""

import asyncio
from collections.abc import Iterator

from system.gateway import Answer, chat


@chat(system_message="You explain in one sentence.", temperature=0.2, max_tokens=100)
def explain(topic: str) -> str:
    return f"Explain {topic}."


@chat
def ask(question: str) -> Answer:  # type: ignore[empty-body]
    """An empty body asks the first argument."""


@chat
def tell(story: str) -> Iterator[str]: ...  # type: ignore[empty-body]


@chat(temperature=0.8)
async def translate(text: str, language: str) -> str:
    return f"Translate into {language}: {text}"


async def both() -> None:
    """Two at once."""
    for line in await asyncio.gather(translate("good morning", "French"), translate("good night", "Greek")):
        print("translated:", line)


if __name__ == "__main__":
    print("explained:", explain("async/await in Python"))
    answer = ask("What is a decorator?")
    print(f"answered by {answer.provider}, {answer.usage.total_tokens} tokens: {answer.content}")
    print("told:", *tell("a very short story"), sep="|")
    asyncio.run(both())
