"""Load `route` against a server that answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from harness.clock import SystemClock
from harness.errors import EnvironmentFailure
from harness.events import RequestDone, Seen
from harness.evidence import Facts, ServiceFacts
from harness.history import History, of
from harness.load.base import Client
from harness.load.route import Route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REGISTRY = ServiceFacts(name="registry", speaks=("capability_registry",))
REPLICA = ServiceFacts(name="r1", registers={"r1": ()}, capabilities={"r1": ({"type": "chat", "gpus": 2},)})
FACTS = Facts(services=(REGISTRY, REPLICA))


async def named(_: web.Request) -> web.StreamResponse:
    return web.json_response({"endpoint": "h:1", "replica_id": "r1"})


async def refused(_: web.Request) -> web.StreamResponse:
    return web.json_response({"detail": "no matching replica"}, status=404)


def send(load: Route, handler: Handler, facts: Facts = FACTS, *seen: Seen) -> list[RequestDone]:
    """Run a load and return the requests it recorded."""

    async def main() -> History:
        history = History(SystemClock())
        for event in seen:
            history.append(event)
        app = web.Application()
        app.router.add_get("/route", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.77.11.1", 0)
        await site.start()
        urls = {"registry": f"http://127.77.11.1:{runner.addresses[0][1]}"}
        try:
            await load.run(Client(load="l", history=history, facts=facts, urls=urls, headers={}))
        finally:
            await runner.cleanup()
        return history

    return [event for _, event in of(asyncio.run(main()).records, RequestDone)]


def test_a_named_replica_is_recorded_with_its_query() -> None:
    """Who was named, where it is, and what was asked."""
    (done,) = send(Route({"type": "chat", "gpus": 2, "stream": True}, requests=1), named)
    assert (done.outcome, done.served_by, done.content) == ("ok", "r1", "h:1")
    assert done.query == {"type": "chat", "gpus": "2", "stream": "true"}
    assert done.url.endswith("/route?type=chat&gpus=2&stream=true")


def test_that_there_is_none_is_an_answer() -> None:
    """404 in the registry's own words is no failure, and names nobody."""
    (done,) = send(Route({"type": "x"}, requests=1), refused)
    assert (done.outcome, done.status, done.served_by) == ("ok", 404, "")


@pytest.mark.parametrize(
    ("status", "body"), [(404, {"detail": "Not Found"}), (500, {}), (200, {"replica_id": "r1"}), (200, [])]
)
def test_anything_else_is_an_error(status: int, body: object) -> None:
    """A missing page, a broken server, half an answer."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    (done,) = send(Route({"type": "chat"}, requests=1), handler)
    assert (done.outcome, done.error.split(":")[0]) == ("error", str(status))


def test_queries_come_from_the_stated_capabilities() -> None:
    """What is stated is asked for in parts, one after the other, round and round."""
    asked = [done.query for done in send(Route("registered", requests=4), named)]
    assert asked == [{"type": "chat"}, {"gpus": "2"}, {"type": "chat", "gpus": "2"}, {"type": "chat"}]


def test_queries_come_from_what_the_registry_shows_where_nothing_is_stated() -> None:
    """Of a registry that is only attached, its last answer says what there is."""
    value = {"x": {"endpoint": "h:1", "capabilities": [{"model": "m"}], "routable": True}}
    seen = Seen(source="registry", view="replicas", ok=True, took=0.0, value=value)
    (done,) = send(Route("registered", requests=1), named, Facts(services=(REGISTRY,)), seen)
    assert done.query == {"model": "m"}


def test_nothing_to_ask_for_is_no_load() -> None:
    """Where nobody says what replicas can do, the load says what to write."""
    with pytest.raises(EnvironmentFailure, match="state 'capabilities'"):
        send(Route("mixed", requests=1), named, Facts(services=(REGISTRY,)))
