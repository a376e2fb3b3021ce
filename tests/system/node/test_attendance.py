"""What a node's log says about its place in the balancer's table."""

import pytest

from tests.system.balancer.served import HERE, WEAK, balancer, node, run, until


def test_a_server_that_cannot_be_reached_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its address, and what to look at."""

    async def said() -> bool:
        return "it cannot be reached; is the balancer started, and --server right?" in caplog.text

    async def test() -> None:
        async with node(f"{HERE}:9", "a", WEAK):
            await until(said)
        assert f"Registration failed: {HERE}:9: " in caplog.text

    run(test())


def test_two_nodes_with_one_name_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """The one that lost its place says why."""

    async def said() -> bool:
        return "two nodes with one --name?" in caplog.text

    async def test() -> None:
        async with balancer() as (address, _), node(address, "a", WEAK), node(address, "a", WEAK):
            await until(said)

    run(test())
