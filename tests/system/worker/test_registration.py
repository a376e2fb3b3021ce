"""Kept registered: leases, restarts of the registry, several of them, names that are taken."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import numpy as np
import pytest

from system.client import AsyncClient
from system.registry.program import RegistryConfig
from system.registry.program import serve as registry
from system.worker import Worker
from system.worker.advertising import endpoint, warning
from system.worker.lease import LONGEST_PAUSE, Ending, ending, pause, renewal_means
from tests.system.worker.served import ADDRESS, run, served

worker = Worker()


@worker.capability(type="echo")
def echo(x: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"x": x}


def registry_config(port: int = 0) -> RegistryConfig:
    return RegistryConfig(host=ADDRESS, port=port, health_interval=0.0, drain=0.2)


async def listed(url: str, expected: list[str]) -> None:
    """Returns once exactly these endpoints are listed."""
    async with httpx.AsyncClient(base_url=url) as client:
        while True:
            replicas = (await client.get("/registry")).json()["replicas"]
            if [replica["endpoint"] for replica in replicas] == expected:
                return
            await asyncio.sleep(0.01)


def test_a_worker_is_listed_with_its_capabilities_until_it_leaves() -> None:
    """Registered when it serves, gone when it has drained, at every registry it was given."""

    async def test() -> None:
        async with registry(registry_config()) as one, registry(registry_config()) as two:
            urls = (one.url, two.url)
            async with served(worker, registry=urls, replica_id="w1") as at:
                await asyncio.gather(*(listed(url, [at]) for url in urls))
                async with httpx.AsyncClient(base_url=one.url) as client:
                    (replica,) = (await client.get("/registry")).json()["replicas"]
                    assert replica["replica_id"] == "w1"
                    assert replica["capabilities"] == [{"type": "echo"}]
            for url in urls:
                async with asyncio.timeout(1):
                    await listed(url, [])

    run(test())


def test_who_was_just_sent_to_a_worker_that_leaves_is_answered() -> None:
    """It is in no registry any more, and a call that was on its way arrives."""

    async def test() -> None:
        async with registry(registry_config()) as known, AsyncExitStack() as stack:
            at = await stack.enter_async_context(served(worker, registry=(known.url,), linger=5.0))
            await listed(known.url, [at])
            leaving = asyncio.create_task(stack.aclose())
            await listed(known.url, [])
            async with AsyncClient(at) as client:
                assert await client.infer("echo", {"x": [1]}) == {"x": [1]}
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    run(test())


def test_a_registry_that_comes_later_or_again_is_registered_at() -> None:
    """First there is none, then there is one, then it is restarted and has forgotten everything."""

    async def test() -> None:
        async with registry(registry_config()) as first:
            url = first.url
        port = int(url.rpartition(":")[2])
        async with served(worker, registry=(url,)) as at:
            for _ in range(2):
                async with registry(registry_config(port)):
                    await listed(url, [at])

    run(test())


def test_a_lease_is_renewed_beyond_its_ttl() -> None:
    """Still listed after three times the ttl, in which a silent worker would have been removed."""

    async def test() -> None:
        async with registry(registry_config()) as reg, served(worker, registry=(reg.url,), ttl=0.3) as at:
            await listed(reg.url, [at])
            async with httpx.AsyncClient(base_url=reg.url) as client:
                until = asyncio.get_running_loop().time() + 0.9
                while asyncio.get_running_loop().time() < until:
                    assert (await client.get("/route?type=echo")).status_code == 200
                    await asyncio.sleep(0.02)

    run(test())


def test_an_entry_that_somebody_removed_comes_back() -> None:
    """The worker is what says that it serves."""

    async def test() -> None:
        async with (
            registry(registry_config()) as reg,
            served(worker, registry=(reg.url,), replica_id="w1") as at,
            httpx.AsyncClient(base_url=reg.url) as client,
        ):
            await listed(reg.url, [at])
            await client.delete("/register/w1")
            await listed(reg.url, [at])

    run(test())


def test_a_taken_name_is_not_fought_for(caplog: pytest.LogCaptureFixture) -> None:
    """The later worker keeps the name; the earlier one stays away and says what to do."""

    async def test() -> None:
        async with (
            registry(registry_config()) as reg,
            served(worker, registry=(reg.url,), replica_id="w") as one,
        ):
            await listed(reg.url, [one])
            async with served(worker, registry=(reg.url,), replica_id="w") as two:
                await listed(reg.url, [two])
                while "another --replica-id" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.01)

    run(test())


def test_pauses_grow_to_a_cap_and_are_spread() -> None:
    """Doubling, capped, never less than half of it."""
    assert [pause(failures, 0.999) for failures in (0, 1, 2)] == pytest.approx([0, 0.1, 0.2], rel=0.01)
    assert pause(100, 0.999) == pytest.approx(LONGEST_PAUSE, rel=0.01)
    assert pause(100, 0.0) == LONGEST_PAUSE / 2


def test_what_a_registry_says_about_a_lease() -> None:
    """Events and answers to renewals."""
    assert [ending(status) for status in ("alive", "replaced", "expired", "draining")] == [
        None,
        Ending.REPLACED,
        Ending.FORGOTTEN,
        Ending.LOST,
    ]
    assert [renewal_means(status) for status in (200, 503, 404, 409)] == [
        None,
        None,
        Ending.FORGOTTEN,
        Ending.REPLACED,
    ]


@pytest.mark.parametrize(
    ("advertise", "host", "registry_url", "expected"),
    [
        ("server2:9", "0.0.0.0", "http://server1:8080", "server2:9"),
        ("server2", "0.0.0.0", "http://server1:8080", "server2:50051"),
        ("", "127.0.0.5", "http://server1:8080", "127.0.0.5:50051"),
        ("", "0.0.0.0", "http://localhost:8080", "localhost:50051"),
    ],
)
def test_which_endpoint_is_registered(advertise: str, host: str, registry_url: str, expected: str) -> None:
    """--advertise decides; else the address listened on; else what the registry's machine can reach."""
    assert endpoint(advertise, host, 50051, registry_url) == expected


def test_an_endpoint_nobody_can_reach_is_warned_of() -> None:
    """Loopback at a registry elsewhere; not where the registry is on this machine."""
    assert "--advertise" in (warning("localhost:50051", "http://server1:8080") or "")
    assert "--advertise" in (warning("0.0.0.0:50051", "http://server1:8080") or "")
    assert warning("localhost:50051", "http://localhost:8080") is None
