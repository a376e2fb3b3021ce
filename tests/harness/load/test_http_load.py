"""Load `http`: any request, again and again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from harness.clock import SystemClock
from harness.events import RequestDone
from harness.evidence import Facts
from harness.history import History, of
from harness.load.base import Client
from harness.load.http import Http

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def send(load: Http, handler: Handler) -> list[RequestDone]:
    """Run a load against a server that answers everything with `handler`."""

    async def main() -> History:
        history = History(SystemClock())
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            await load.run(
                Client(load="l", history=history, facts=Facts(), urls={"": url, "api": url}, headers={})
            )
        finally:
            await runner.cleanup()
        return history

    return [event for _, event in of(asyncio.run(main()).records, RequestDone)]


async def echo(request: web.Request) -> web.Response:
    text = f"{request.method} {request.path} {await request.text()} {request.headers.get('x-mine', '')}"
    return web.Response(text=text, status=int(request.query.get("status", 200)))


def test_a_path_belongs_to_a_service() -> None:
    """Method, path, JSON body and headers are sent as they are written."""
    load = Http("/things", at="api", method="POST", json={"a": 1}, headers={"x-mine": "yes"}, requests=2)
    done = send(load, echo)
    assert [(request.outcome, request.content) for request in done] == [
        ("ok", 'POST /things {"a": 1} yes')
    ] * 2


@pytest.mark.parametrize(("status", "outcome"), [(204, "ok"), (404, "error"), (503, "error")])
def test_only_2xx_is_ok(status: int, outcome: str) -> None:
    """Everything else is an error that keeps its status and the beginning of its body."""
    (done,) = send(Http(f"/x?status={status}", requests=1), echo)
    assert (done.outcome, done.status) == (outcome, status)
    assert done.error.startswith(f"{status}: GET /x") is (outcome == "error")
