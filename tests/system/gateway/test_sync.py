"""What every way of sharing has to do: on one machine, through Redis, and both at once."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from system.gateway.breakers import (
    Breakers,
    BreakerSettings,
    Permit,
    RedisSettings,
    Refused,
    SyncSettings,
    opened,
)
from tests.system.gateway.redis_server import needs_redis, redis_server
from tests.system.gateway.together import P, all_are, fail, probe, succeed, together, until

KINDS = [
    "machine",
    pytest.param("redis", marks=needs_redis),
    pytest.param("machine and redis", marks=needs_redis),
]
SHORT = 0.3  # seconds of recovery


@pytest.fixture(params=KINDS)
def sync(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncSettings]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="gw"))  # short: it becomes a socket's address
        stack.callback(shutil.rmtree, folder)
        redis = None
        if "redis" in request.param:
            pytest.importorskip("redis")
            redis = RedisSettings(url=stack.enter_context(redis_server(tmp_path)).url)
        yield SyncSettings(redis=redis, group="g" if "machine" in request.param else None, folder=folder)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(limited())


async def counted(failures: int, processes: list[Breakers]) -> None:
    await until(lambda: all(one.view(P).failure_count == failures for one in processes))


def test_failures_of_all_processes_count_together(sync: SyncSettings) -> None:
    """Five failures in a row open the circuit, whoever has seen them; and then for everybody."""

    async def scenario() -> None:
        async with together(4, sync) as processes:
            for number in range(5):
                one = processes[number % 4]
                await fail(one)
                if number < 4:
                    await counted(number + 1, processes)
                    assert {p.view(P).state.name for p in processes} == {"CLOSED"}
            await all_are("OPEN", *processes)
            views = [p.view(P) for p in processes]
            assert {(v.version, v.changed_by, v.failure_count) for v in views} == {
                (1, views[0].changed_by, 5)
            }
            assert len({v.opened_at for v in views}) == 1
            assert {p.view("anthropic").state.name for p in processes} == {"CLOSED"}

    play(scenario())


def test_a_success_anywhere_ends_the_row(sync: SyncSettings) -> None:
    """In a row means: of all processes."""

    async def scenario() -> None:
        async with together(3, sync) as processes:
            await fail(processes[0], 4)
            await counted(4, processes)
            await succeed(processes[1])
            await counted(0, processes)
            await fail(processes[2], 4)
            await counted(4, processes)
            assert {p.view(P).state.name for p in processes} == {"CLOSED"}

    play(scenario())


def test_one_probe_of_all(sync: SyncSettings) -> None:
    """However many requests of however many processes come when recovery is due: one goes through."""

    async def scenario() -> None:
        async with together(4, sync, recovery=SHORT) as processes:
            for _ in range(3):
                await fail(processes[0], 5 if processes[0].view(P).state.name == "CLOSED" else 0)
                await all_are("OPEN", *processes)
                await until(lambda: all(p.view(P).due_at is None for p in processes))
                answers = await asyncio.gather(*(p.admit(P) for p in processes for _ in range(5)))
                permits = [one for one in answers if isinstance(one, Permit)]
                if not permits:  # a clock was a moment early
                    permits = [await probe(*processes)]
                assert len(permits) == 1
                await all_are("HALF_OPEN", *processes)
                assert not [p for p in processes if isinstance(await p.admit(P), Permit)]
                permits[0].failed("timeout", 0.1)
                await all_are("OPEN", *processes)
                assert {p.view(P).cause for p in processes} == {"failed"}

    play(scenario())


def test_a_good_probe_closes_it_for_all(sync: SyncSettings) -> None:
    """And everybody counts from nought again."""

    async def scenario() -> None:
        async with together(3, sync, recovery=SHORT) as processes:
            await fail(processes[0], 5)
            await all_are("OPEN", *processes)
            (await probe(*processes)).succeeded(0.1)
            await all_are("CLOSED", *processes)
            assert {(p.view(P).failure_count, p.view(P).opened_at) for p in processes} == {(0, None)}
            await fail(processes[1], 4)
            await counted(4, processes)
            assert {p.view(P).state.name for p in processes} == {"CLOSED"}

    play(scenario())


def test_a_reset_reaches_everybody(sync: SyncSettings) -> None:
    """Through whichever process it comes."""

    async def scenario() -> None:
        async with together(4, sync) as processes:
            await fail(processes[0], 5)
            await all_are("OPEN", *processes)
            await processes[3].reset(P)
            assert processes[3].view(P).state.name == "CLOSED"
            await all_are("CLOSED", *processes)
            for one in processes:
                await succeed(one)

    play(scenario())


def test_who_comes_late_knows_before_it_serves(sync: SyncSettings) -> None:
    """Not a single request goes to a provider that is known to be down."""

    async def scenario() -> None:
        async with together(2, sync) as processes:
            await fail(processes[0], 5)
            await all_are("OPEN", *processes)
            async with opened(BreakerSettings(providers=(P,), sync=sync)) as late:
                assert isinstance(answer := await late.admit(P), Refused), answer
                assert late.view(P).failure_count == 5
                assert 55 < answer.retry_after <= 61

    play(scenario())


def test_a_probe_that_ends_with_its_process_is_handed_on(sync: SyncSettings) -> None:
    """A process that is stopped says so: nobody waits for its lease."""

    async def scenario() -> None:
        async with together(2, sync, recovery=SHORT, lease=300) as processes:
            async with opened(
                BreakerSettings(providers=(P,), sync=sync, recovery=SHORT, lease=300)
            ) as leaving:
                await fail(leaving, 5)
                await all_are("OPEN", leaving, *processes)
                await probe(leaving)
                await all_are("HALF_OPEN", *processes)
            (await probe(*processes)).succeeded()
            await all_are("CLOSED", *processes)

    play(scenario())


def test_a_probe_may_take_longer_than_its_lease(sync: SyncSettings) -> None:
    """As long as its process lives, nobody else probes."""

    async def scenario() -> None:
        async with together(2, sync, recovery=SHORT, lease=1.0) as (one, other):
            await fail(one, 5)
            permit = await probe(one)
            await all_are("HALF_OPEN", one, other)
            first = other.view(P)
            assert first.due_at is not None
            await until(lambda: (other.view(P).due_at or 0) > (first.due_at or 0) + 1.0)
            assert other.view(P).version == first.version
            assert isinstance(await other.admit(P), Refused)
            permit.succeeded()
            await all_are("CLOSED", one, other)

    play(scenario())


def test_a_request_that_leaves_does_not_keep_the_probe(sync: SyncSettings) -> None:
    """Neither while it waits for the probe nor after it has won it."""

    async def scenario() -> None:
        async with together(2, sync, recovery=SHORT, lease=300) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            await until(lambda: one.view(P).due_at is None)
            waiting = asyncio.create_task(one.admit(P))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            with await probe(one, other):
                pass
            (await probe(other)).succeeded()
            await all_are("CLOSED", one, other)

    play(scenario())


def test_a_provider_that_wants_rest_gets_it_from_all(sync: SyncSettings) -> None:
    """Rate limited, with Retry-After: the circuit stays closed, and nobody asks."""

    async def scenario() -> None:
        async with together(3, sync) as processes:
            permit = await processes[0].admit(P)
            assert isinstance(permit, Permit)
            permit.abandoned(rest=30)
            await until(lambda: all(p.view(P).due_at for p in processes))
            for one in processes:
                answer = await one.admit(P)
                assert isinstance(answer, Refused)
                assert answer.state.name == "CLOSED"
                assert 25 < answer.retry_after <= 31
            await processes[2].reset(P)
            await until(lambda: not any(p.view(P).due_at for p in processes))
            await succeed(processes[0])

    play(scenario())


@needs_redis
def test_machines_that_claim_at_once_do_not_end_each_others_probe(tmp_path: Path) -> None:
    """Each of two machines has a store of its own; the one that loses at Redis leaves the winner's probe alone."""

    async def scenario(url: str, folders: list[Path]) -> None:
        redis = RedisSettings(url=url)
        settings = [
            BreakerSettings(
                providers=(P,),
                recovery=SHORT,
                lease=300,
                sync=SyncSettings(redis=redis, group="g", folder=folder),
            )
            for folder in folders
        ]
        async with opened(settings[0]) as one, opened(settings[1]) as other:
            await until(lambda: one.link.redis_connected and other.link.redis_connected)
            await fail(one, 5)
            for _ in range(5):
                await all_are("OPEN", one, other)
                await until(lambda: one.view(P).due_at is None and other.view(P).due_at is None)
                answers = await asyncio.gather(one.admit(P), other.admit(P))
                permit = next((a for a in answers if isinstance(a, Permit)), None) or await probe(one, other)
                assert len([a for a in answers if isinstance(a, Permit)]) <= 1
                await all_are("HALF_OPEN", one, other)
                permit.failed("timeout")
                await until(lambda: {one.view(P).cause, other.view(P).cause} == {"failed"})

    folders = [Path(tempfile.mkdtemp(prefix="gw")) for _ in range(2)]
    try:
        with redis_server(tmp_path) as server:
            play(scenario(server.url, folders))
    finally:
        for folder in folders:
            shutil.rmtree(folder)
