"""Observers: what they poll, and what they write down."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from harness.clock import SystemClock
from harness.events import Seen
from harness.evidence import Facts, ServiceFacts
from harness.history import History, current_step, of
from harness.observers import Observers

REGISTRY = ServiceFacts(name="registry", url="http://registry", speaks=("service_registry",))


def observe(answers: Callable[[int], httpx.Response], seen: int, *watch: tuple[str, str]) -> list[Seen]:
    """Observe a registry that answers as told until so many observations are written."""

    async def main() -> History:
        history = History(SystemClock())
        asked = 0

        def answer(_: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            return answers(asked)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            observers = Observers(history, client, SystemClock(), Facts(services=(REGISTRY,)), every=0.001)
            async with observers, asyncio.timeout(5):
                for pair in watch:
                    await observers.watch(*pair)
                await history.more(seen - 1)
        return history

    return [event for _, event in of(asyncio.run(main()).records, Seen)]


def listing(*names: str) -> httpx.Response:
    return httpx.Response(200, json={"services": [{"name": name, "is_healthy": True} for name in names]})


def test_a_view_is_written_whole_when_it_changes_and_marked_when_it_does_not() -> None:
    """Two equal answers, then a new one: value, same, value."""
    first, second, third = observe(lambda n: listing("a") if n < 3 else listing("a", "b"), 3)[:3]
    assert (set(first.value), second.same, second.value) == ({"a"}, True, None)
    assert set(third.value) == {"a", "b"}


def test_silence_is_written_with_its_reason() -> None:
    """A registry that answers nonsense is an observation too, and the next answer counts as new."""
    first, second = observe(lambda n: httpx.Response(200, text="<html>") if n == 1 else listing("a"), 2)[:2]
    assert not first.ok
    assert "not JSON" in first.error
    assert second.ok
    assert not second.same


def test_a_view_that_is_asked_for_twice_is_polled_once() -> None:
    """Steps that rest on the same view share an observer."""
    seen = observe(lambda _: listing("a"), 3, ("registry", "services"), ("registry", "services"))
    assert [event.same for event in seen[:3]] == [False, True, True]


def test_what_is_seen_belongs_to_no_step() -> None:
    """An observer outlives the step that asked for it."""

    async def main() -> set[str]:
        history = History(SystemClock())
        transport: Any = httpx.MockTransport(lambda _: listing("a"))
        token = current_step.set("7")
        try:
            async with httpx.AsyncClient(transport=transport) as client:
                facts = Facts(services=(REGISTRY,))
                async with Observers(history, client, SystemClock(), facts, every=0.001), asyncio.timeout(5):
                    await history.more(1)
        finally:
            current_step.reset(token)
        return {record.step for record in history.records}

    assert asyncio.run(main()) == {""}
