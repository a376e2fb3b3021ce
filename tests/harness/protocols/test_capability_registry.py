"""The AnyServe dialect of a registry, as it is looked at."""

import asyncio
from typing import Any

import httpx
import pytest

from harness.protocols.base import ViewFailed
from harness.protocols.capability_registry import CapabilityRegistry

ENTRY = {"replica_id": "r1", "endpoint": "h:1", "capabilities": [{"model": "m"}]}


def look(**answers: Any) -> Any:
    """What is seen of a server that has these pages."""

    def handler(request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix("/")
        return httpx.Response(200, json=answers[name]) if name in answers else httpx.Response(404)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            return await CapabilityRegistry().look(client, "http://registry", "replicas")

    return asyncio.run(main())


def test_the_seeds_list_is_enough() -> None:
    """A registry that has only `/registry` is read from there; whoever is listed may be named."""
    seen = look(registry={"replicas": [ENTRY]})
    assert seen == {"r1": {"endpoint": "h:1", "capabilities": [{"model": "m"}], "routable": True}}


def test_the_state_is_seen_where_there_is_one() -> None:
    """`/replicas` says who is listed and yet not routed to."""
    assert not look(replicas={"replicas": [{**ENTRY, "is_healthy": False}]})["r1"]["routable"]


@pytest.mark.parametrize("body", [[], {}, {"replicas": [{"replica_id": "r1"}]}, {"replicas": ["r1"]}])
def test_another_program_is_not_taken_for_a_registry(body: Any) -> None:
    """What is no list of replicas fails the look."""
    with pytest.raises(ViewFailed, match="http://registry/registry"):
        look(registry=body)
