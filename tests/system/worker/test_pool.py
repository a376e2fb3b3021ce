"""Handlers in threads: bounded, in order, and nobody waits for ever."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from system.worker.pool import Pool
from tests.system.worker.served import run


@contextmanager
def pool_of(threads: int) -> Iterator[Pool]:
    pool = Pool(threads)
    try:
        yield pool
    finally:
        pool.close()


def test_no_more_run_at_a_time_than_there_are_threads() -> None:
    """Two threads, five calls: the third begins when one of the first two ends."""

    async def test() -> None:
        entered: list[int] = []
        doors = [threading.Event() for _ in range(5)]
        both = threading.Barrier(3, timeout=10)

        def work(number: int) -> int:
            entered.append(number)
            if number < 2:
                both.wait()
            doors[number].wait(10)
            return number

        with pool_of(2) as pool:
            calls = [asyncio.create_task(pool.run(lambda n=n: work(n))) for n in range(5)]  # type: ignore[misc]
            await asyncio.to_thread(both.wait)
            assert sorted(entered) == [0, 1]
            for door in doors:
                door.set()
            assert await asyncio.gather(*calls) == [0, 1, 2, 3, 4]
            assert sorted(entered[:2]) == [0, 1]

    run(test())


def test_what_was_cancelled_before_it_began_does_not_begin() -> None:
    """A caller that left while its call waited for a thread costs nothing any more."""

    async def test() -> None:
        door, ran = threading.Event(), list[str]()
        with pool_of(1) as pool:
            first = asyncio.create_task(pool.run(lambda: door.wait(10)))
            second = asyncio.create_task(pool.run(lambda: ran.append("second")))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            door.set()
            assert await first
            await pool.run(lambda: ran.append("third"))
        assert ran == ["third"]

    run(test())


def stop_iteration() -> None:
    msg = "nothing left"
    raise StopIteration(msg)


@pytest.mark.parametrize(
    ("work", "raised", "says"),
    [
        (lambda: 1 / 0, ZeroDivisionError, "division by zero"),
        (stop_iteration, RuntimeError, "StopIteration: nothing left"),
        (lambda: sys.exit(3), RuntimeError, "SystemExit: 3"),
    ],
)
def test_whatever_a_handler_raises_ends_its_call_only(
    work: Callable[[], Any], raised: type[Exception], says: str
) -> None:
    """Also what a future or the loop would take for its own: the pool serves on."""

    async def test() -> None:
        with pool_of(1) as pool:
            with pytest.raises(raised, match=says):
                await pool.run(work)
            assert await pool.run(lambda: "goes on") == "goes on"

    run(test())


def test_a_handler_that_outlives_its_server_harms_nobody(
    recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loop is closed when it ends: its thread ends without an error."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    door, began = threading.Event(), threading.Event()
    pool = Pool(1)

    def outlive() -> None:
        began.set()
        door.wait(10)

    async def test() -> None:
        call = asyncio.create_task(pool.run(outlive))
        await asyncio.to_thread(began.wait, 10)
        call.cancel()

    asyncio.run(test())
    (thread,) = [one for one in threading.enumerate() if one.name == "handler_0"]
    pool.close()
    door.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not failed
