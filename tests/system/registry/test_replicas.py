"""The `/register` dialect on real connections."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from system.registry import streams
from tests.system.registry.served import connected, gone, route, serving, until

Scenario = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


def play(scenario: Scenario, **options: Any) -> None:
    """Run a scenario against a registry of its own."""

    async def run() -> None:
        async with serving(**options) as client:
            await scenario(client)

    asyncio.run(run())


def test_tells_a_replica_that_it_is_registered_as_the_seed_prints_it() -> None:
    """The first two lines come at once, with spaces, and the lease id is a header."""

    async def scenario(client: httpx.AsyncClient) -> None:
        body = {"replica_id": "r1", "endpoint": "localhost:50051", "capabilities": [{"model": "qwen2"}]}
        async with client.stream("POST", "/register", json=body) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["x-lease-id"]
            text = ""
            async for piece in response.aiter_text():
                text += piece
                if "alive" in text:
                    break
        registered = 'data: {"status": "registered", "replica_id": "r1"}\n\n'
        assert text == registered + 'data: {"status": "alive"}\n\n'

    play(scenario)


def test_says_alive_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection hears "alive" in its turn."""
    monkeypatch.setattr(streams, "ALIVE_EVERY", 0.05)

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client) as one, connected(client, replica_id="r2") as two:
            for replica in (one, two, one, two):
                assert await replica.line() == 'data: {"status": "alive"}'

    play(scenario)


def test_a_connection_is_the_lease() -> None:
    """Routable as long as the connection is open, and not after."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client):
            answer = await client.get("/route?model=qwen2")
            assert answer.text == '{"endpoint":"10.0.0.1:50051","replica_id":"r1"}'
        await gone(client)
        assert (await client.get("/route?model=qwen2")).text == '{"detail":"no matching replica"}'
        assert (await client.get("/registry")).text == '{"replicas":[]}'

    play(scenario)


def test_the_end_of_an_older_connection_does_not_remove_a_newer_registration() -> None:
    """Whoever registered last owns the id; the older connection is told, and its end changes nothing."""

    async def scenario(client: httpx.AsyncClient) -> None:
        first = connected(client, replica_id="r0")
        async with first, connected(client) as older, connected(client, endpoint="10.0.0.2:1"):
            assert (await older.told())["status"] == "replaced"
            await older.response.aclose()
            await until(lambda: _streams_are(client, 2))
            rows = (await client.get("/registry")).json()["replicas"]
            places = [(row["replica_id"], row["endpoint"]) for row in rows]
            assert places == [("r0", "10.0.0.1:50051"), ("r1", "10.0.0.2:1")]

    play(scenario)


def test_a_heartbeat_registration_takes_over_from_a_connection() -> None:
    """One table, two dialects: the connection's end does not remove what was registered by POST /services."""

    async def scenario(client: httpx.AsyncClient) -> None:
        service = {
            "name": "r1",
            "host": "h",
            "port": 1,
            "hostname": "h",
            "url": "http://h:1",
            "status": "running",
        }
        async with connected(client):
            await client.post("/services", json=service)
        await until(lambda: _streams_are(client, 0))
        assert (await client.get("/services/r1")).json()["url"] == "http://h:1"

    play(scenario)


async def _streams_are(client: httpx.AsyncClient, number: int) -> bool:
    return f"registry_connected_replicas {number}\n" in (await client.get("/metrics")).text


def test_a_peer_that_announced_renewal_is_removed_when_it_stops() -> None:
    """With a ttl an open connection is not enough: no renewal, no entry, and the stream ends."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client, ttl=0.8) as replica:
            for _ in range(4):
                await asyncio.sleep(0.25)
                assert (await client.post("/register/r1/heartbeat")).json()["status"] == "alive"
            assert await route(client, "model=qwen2") == "r1"
            assert (await replica.told())["status"] == "expired"
            assert await replica.ended()
            assert await route(client, "model=qwen2") is None

    play(scenario)


def test_a_wrong_lease_id_neither_renews_nor_removes_a_replica() -> None:
    """Fencing holds in this dialect too."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client) as replica:
            wrong = await client.post("/register/r1/heartbeat", json={"lease_id": "x"})
            assert wrong.status_code == 409
            assert (await client.delete("/register/r1?lease_id=x")).status_code == 409
            own = replica.response.headers["x-lease-id"]
            assert (await client.delete(f"/register/r1?lease_id={own}")).status_code == 200
            assert (await replica.told())["status"] == "unregistered"
            assert await route(client, "model=qwen2") is None
            assert (await client.delete("/register/r1")).status_code == 404

    play(scenario)


def test_both_dialects_show_the_same_entries() -> None:
    """A service's models are capabilities; a replica's capabilities are metadata."""

    async def scenario(client: httpx.AsyncClient) -> None:
        service = {
            "name": "s1",
            "host": "10.0.0.2",
            "port": 8100,
            "hostname": "h",
            "url": "http://10.0.0.2:8100",
        }
        metadata = {"type": "openai-api", "models": ["m1", "m2"], "gpus": 2, "deep": {"x": 1}}
        await client.post("/services", json={**service, "status": "running", "metadata": metadata})
        async with connected(client):
            assert await route(client, "model=m2&gpus=2&type=openai-api") == "s1"
            rows = (await client.get("/registry")).json()["replicas"]
            assert rows[0] == {
                "replica_id": "s1",
                "endpoint": "10.0.0.2:8100",
                "capabilities": [{"model": m, "type": "openai-api", "gpus": 2} for m in ("m1", "m2")],
            }
            shown = (await client.get("/services/r1")).json()
            assert shown["metadata"]["capabilities"] == [{"model": "qwen2"}]
            assert (shown["host"], shown["port"], shown["is_healthy"]) == ("10.0.0.1", 50051, True)

    play(scenario)


def test_a_draining_replica_is_listed_and_not_routed_to() -> None:
    """Draining takes an entry out of routing only, in either dialect."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client):
            await client.post("/register/r1/drain")
            assert await route(client, "model=qwen2") is None
            row = (await client.get("/replicas?model=qwen2")).json()["replicas"][0]
            assert (row["replica_id"], row["draining"], row["status"]) == ("r1", True, "draining")
            await client.delete("/services/r1/drain")
            assert await route(client, "model=qwen2") == "r1"

    play(scenario)


def test_lists_all_matches_with_their_state() -> None:
    """`/replicas` shows every match of a query, and everything without one."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client), connected(client, replica_id="r2", capabilities=[{"model": "x"}]):
            ids = [row["replica_id"] for row in (await client.get("/replicas?model=x")).json()["replicas"]]
            assert ids == ["r2"]
            assert len((await client.get("/replicas")).json()["replicas"]) == 2

    play(scenario)


def test_a_request_may_name_the_policy() -> None:
    """The header chooses the policy of one request; an unknown one is refused by name."""

    async def scenario(client: httpx.AsyncClient) -> None:
        async with connected(client), connected(client, replica_id="r2"):
            header = {"x-muster-choice": "round-robin"}
            turns = [await route(client, "model=qwen2", **header) for _ in range(4)]
            assert turns == ["r1", "r2", "r1", "r2"]
            refused = await client.get("/route", headers={"x-muster-choice": "fair"})
            assert refused.status_code == 400
            assert "round-robin" in refused.json()["detail"]

    play(scenario)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"replica_id":"r1","endpoint":"h:1"}', "missing"),
        (b'{"replica_id":"r1","endpoint":"h:1","capabilities":[7]}', "dict_type"),
        (b'{"replica_id":"a/b","endpoint":"h:1","capabilities":[]}', "value_error"),
        (b"{", "json_invalid"),
    ],
)
def test_refuses_a_body_as_its_clients_know_it(body: bytes, kind: str) -> None:
    """A mistaken registration is 422 with what is wrong, where."""

    async def scenario(client: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        answer = await client.post("/register", content=body, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["type"] == kind
        assert answer.json()["detail"][0]["loc"][0] == "body"
        assert (await client.get("/register")).status_code == 405

    play(scenario)


def test_refuses_a_hundred_thousand_capabilities() -> None:
    """What cannot be kept is refused with the limit that it breaks."""

    async def scenario(client: httpx.AsyncClient) -> None:
        many = [{"n": number} for number in range(100_000)]
        body = {"replica_id": "r1", "endpoint": "h:1", "capabilities": many}
        answer = await client.post("/register", json=body)
        assert answer.status_code == 422
        assert "100000 capabilities" in answer.json()["detail"]

    play(scenario)


def test_a_registry_that_drains_tells_its_replicas() -> None:
    """On the way out every connection hears "draining" and ends, so that its peer goes elsewhere."""

    async def scenario() -> None:
        async with httpx.AsyncClient(timeout=5) as outside:
            async with serving() as client:
                outside.base_url = client.base_url
                replica = connected(outside)
                told = await replica.__aenter__()
            assert (await told.told())["status"] == "draining"
            assert await told.ended()
            await replica.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_a_peer_that_does_not_read_is_told_nothing_and_holds_up_nobody() -> None:
    """Where writing would have to wait, "alive" is left out; the next one is said again when it need not."""
    written: list[bytes] = []
    room = asyncio.Event()

    async def send(message: Any) -> None:
        if not room.is_set():
            await room.wait()
        written.append(message["body"])

    async def scenario() -> None:
        stream = streams.Stream(send)
        stream.beat()
        assert written == []
        room.set()
        stream.beat()
        assert written == [streams.ALIVE]

    asyncio.run(scenario())
