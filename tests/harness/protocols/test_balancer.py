"""A balancer's nodes, as they are looked at."""

import asyncio
from typing import Any

import httpx
import pytest

from harness.protocols.balancer import Balancer
from harness.protocols.base import ViewFailed


def look(body: Any) -> Any:
    """What is seen of a balancer that answers so at `/status`."""

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/status"
        return httpx.Response(200, json=body)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            return await Balancer().look(client, "http://balancer", "services")

    return asyncio.run(main())


def node(**said: Any) -> dict[str, Any]:
    return {
        "client_id": "n",
        "address": "[::1]:50052",
        "score": 26.0,
        "model": "m:1b",
        "state": "ready",
        **said,
    }


def test_a_node_is_an_entry_that_offers_its_model() -> None:
    """Its address, its model, and its points beside them."""
    assert look({"clients": [node()]}) == {
        "n": {
            "url": "grpc://[::1]:50052",
            "host": "::1",
            "port": 50052,
            "healthy": True,
            "models": ["m:1b"],
            "metadata": {"score": 26.0, "state": "ready"},
        }
    }


def test_a_node_that_is_not_ready_is_not_healthy() -> None:
    """One that fetches its model, or has none, is shown so."""
    seen = look({"clients": [node(state="fetching", model=None)]})["n"]

    assert (seen["healthy"], seen["models"]) == (False, [])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"success": False, "error": "gRPC server not available", "clients": []},
            "gRPC server not available",
        ),
        ([], "without a list of clients"),
        ({"clients": [{"hostname": "h"}]}, "a node without a client_id"),
    ],
)
def test_what_shows_no_nodes_fails_the_look(body: Any, says: str) -> None:
    """A missing gRPC half is no empty fleet, and another program is no balancer."""
    with pytest.raises(ViewFailed, match=says):
        look(body)
