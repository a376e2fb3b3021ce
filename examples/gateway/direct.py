"""Ask providers from your own program: whole, in pieces, many at a time; for one that fails another answers.

Set OPENAI_API_KEY and/or ANTHROPIC_API_KEY and run `python direct.py`.
"""

import asyncio

from system.gateway import Gateway, GatewayError


def main() -> None:
    with Gateway(timeout=20.0, threshold=3) as gateway:
        answer = gateway.chat("What is Python?", system_message="You are a helpful programming assistant.")
        print(f"{answer.provider} ({answer.model}): {answer.content}")

        for chunk in gateway.chat_stream("Count to three.", temperature=0.0):
            print(chunk, end="")
        print()

        asyncio.run(several(gateway))

        for name, breaker in gateway.status().items():
            print(f"{name}: {breaker.state.name}, {breaker.success_count} answered")


async def several(gateway: Gateway) -> None:
    """Three questions at once."""
    topics = ("lists", "tuples", "sets")
    answers = await asyncio.gather(*(gateway.achat(f"What are {topic}?") for topic in topics))
    for topic, answer in zip(topics, answers, strict=True):
        print(f"{topic}: {answer.content}")


if __name__ == "__main__":
    try:
        main()
    except GatewayError as error:
        raise SystemExit(str(error)) from None
