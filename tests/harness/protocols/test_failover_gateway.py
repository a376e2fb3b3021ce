"""A gateway of several processes, as it is looked at."""

import asyncio
from itertools import cycle
from typing import Any

import httpx
import pytest

from harness.protocols.base import ViewFailed
from harness.protocols.failover_gateway import FailoverGateway


def health(worker: int, state: str) -> dict[str, Any]:
    return {"worker_id": worker, "providers": [{"name": "openai", "circuit_state": state}]}


def look(*answers: tuple[int, Any]) -> Any:
    """What is seen of a gateway whose processes answer in turn."""
    turns = cycle(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.headers["connection"]) == ("/health", "close")
        status, body = next(turns)
        return httpx.Response(status, json=body)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
            return await FailoverGateway().look(client, "http://gateway", "circuits")

    return asyncio.run(main())


def test_every_process_that_answers_is_told_apart() -> None:
    """Each connection meets a process; 503 is an answer as good as 200."""
    seen = look((200, health(7, "CLOSED")), (503, health(9, "OPEN")))

    assert seen == {"7": {"openai": "CLOSED"}, "9": {"openai": "OPEN"}}


def test_a_process_may_be_met_twice() -> None:
    """What it showed last counts, also when its circuit changes while it is looked at."""
    assert look((200, health(7, "CLOSED")), (503, health(7, "OPEN"))) == {"7": {"openai": "OPEN"}}


@pytest.mark.parametrize("body", [[], {}, {"worker_id": 1}, {"worker_id": 1, "providers": [{}]}])
def test_another_program_is_not_taken_for_a_gateway(body: Any) -> None:
    """What has no worker_id and no providers fails the look."""
    with pytest.raises(ViewFailed, match="http://gateway/health answered without worker_id"):
        look((200, body))
