"""Load `ask` against a balancer that answers as it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web

from harness.clock import SystemClock
from harness.events import Combined, RequestDone
from harness.evidence import Facts, ServiceFacts
from harness.history import History, of
from harness.load.ask import Ask
from harness.load.base import Client

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FACTS = Facts(services=(ServiceFacts(name="balancer", speaks=("balancer",)),))
NODE = {"client_id": "a", "model": "m:1b", "outcome": "answered", "reason": "", "seconds": 0.1}
RESULT = {
    "success": True,
    "text": "Paris",
    "metadata": {"summary_method": "All Answers", "processing_time": 0.2, "partial": False, "nodes": [NODE]},
}


def answering(*events: Any) -> Handler:
    """Answers with these events; what is bytes is sent as it is."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert (await request.json())["stream"] is True
        sent = [one if isinstance(one, bytes) else b"data: %s\n\n" % orjson.dumps(one) for one in events]
        return web.Response(body=b"".join(sent), content_type="text/event-stream")

    return handler


def ask(load: Ask, handler: Handler) -> tuple[RequestDone, Combined]:
    """What one question leaves in the history."""

    async def main() -> History:
        history = History(SystemClock())
        app = web.Application()
        app.router.add_post("/query", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.77.12.1", 0).start()
        urls = {"balancer": f"http://127.77.12.1:{runner.addresses[0][1]}"}
        try:
            await load.run(Client(load="l", history=history, facts=FACTS, urls=urls, headers={}))
        finally:
            await runner.cleanup()
        return history

    records = asyncio.run(main()).records
    ((_, done),) = of(records, RequestDone)
    ((_, combined),) = of(records, Combined)
    return done, combined


def test_an_answer_is_recorded_with_what_each_node_said() -> None:
    """The texts come from the events, the rest from the result."""
    progress = {"client_id": "a", "status": "PROCESSING", "percentage": 10, "step": "Asking"}
    load = Ask("Capital?", plan="quorum", count=1, requests=1)
    done, combined = ask(load, answering(progress, {**NODE, "text": "Paris"}, RESULT))

    assert (done.outcome, done.content, done.chunks, done.complete) == ("ok", "Paris", 3, True)
    assert (combined.prompt, combined.plan, combined.count) == ("Capital? (question 0)", "quorum", 1)
    assert (combined.answered, combined.text, combined.method) == (True, "Paris", "All Answers")
    assert combined.nodes == ({**NODE, "text": "Paris"},)


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (({"success": False, "error": "❌ No clients connected."},), "No clients connected"),
        (({**NODE, "text": "x"},), "1 events came, and no result"),
        ((b"data: {broken\n\n",), "the stream broke off"),
    ],
)
def test_what_is_no_answer_is_an_error(events: tuple[Any, ...], says: str) -> None:
    """A refusal, an end without a result, and nonsense are told apart."""
    done, combined = ask(Ask("Hello", requests=1), answering(*events))

    assert (done.outcome, combined.answered) == ("error", False)
    assert says in done.error


def test_a_status_that_is_an_error_is_one() -> None:
    """Its body says why."""

    async def refused(_: web.Request) -> web.StreamResponse:
        return web.json_response({"success": False, "error": "gRPC server not available"}, status=503)

    done, combined = ask(Ask("Hello", requests=1), refused)

    assert done.outcome == "error"
    assert done.error.startswith("503: ")
    assert combined.nodes == ()


def test_a_quorum_needs_its_number() -> None:
    """The mistake is found before anything starts."""
    with pytest.raises(ValueError, match="plan quorum needs one"):
        Ask("Hello", plan="quorum")
