"""Load `chat` against a server that can be told to misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from harness.clock import SystemClock
from harness.events import LEFT, LoadFinished, LoadStarted, RequestDone
from harness.evidence import Facts, ServiceFacts
from harness.history import History, of
from harness.load.base import Client
from harness.load.chat import PATH, SESSION_HEADER, Chat

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FACTS = Facts(
    services=(
        ServiceFacts(
            name="babysitter-a",
            registers={"babysitter-a": (), "babysitter-a-server": ("model-1",)},
            answers_as=("mock-service-a",),
        ),
    )
)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """A server on a free loopback port that answers chats with `handler`."""
    app = web.Application()
    app.router.add_post(PATH, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answering(content: str = "hi", model: str = "model-1", headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        body = {"model": model, "choices": [{"message": {"content": content}}]}
        return web.json_response(body, headers=headers or {})

    return handler


def streaming(*lines: str, cut: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        for line in lines:
            await answer.write(f"data: {line}\n\n".encode())
        if cut and request.transport is not None:
            request.transport.close()
        return answer

    return handler


def send(load: Chat, handler: Handler, **options: object) -> History:
    """Run a load against a server and return the history it left."""

    async def main() -> History:
        history = History(SystemClock())
        async with server(handler) as url:
            identity = ("x-muster-backend", "x-served-by")
            settings = {"identity": identity, "headers": {}, "requests": None, **options}
            client = Client(load="load1", history=history, facts=FACTS, urls={"": url}, **settings)  # type: ignore[arg-type]
            await load.run(client)
        return history

    return asyncio.run(main())


def requests_of(history: History) -> list[RequestDone]:
    return [event for _, event in of(history.records, RequestDone)]


def test_every_request_has_an_id_of_its_own_and_an_outcome() -> None:
    """Ten requests leave ten records with ten ids, between a start and an end that counts them."""
    history = send(Chat("model-1", requests=10, concurrency=3), answering())
    done = requests_of(history)
    assert len({request.id for request in done}) == 10
    assert {request.outcome for request in done} == {"ok"}
    assert isinstance(history.records[0].event, LoadStarted)
    assert history.records[-1].event == LoadFinished(load="load1", sent=10, ok=10, failed=0)


def test_who_served_is_read_from_the_header_and_told_as_registered() -> None:
    """A backend's own name is turned into the name under which it is registered."""
    (done,) = requests_of(
        send(Chat("model-1", requests=1), answering(headers={"x-served-by": "mock-service-a"}))
    )
    assert done.claims == {"x-served-by": "mock-service-a"}
    assert done.served_by == "babysitter-a-server"


def test_who_served_is_read_from_the_content_where_no_header_says_it() -> None:
    """A pattern of the inventory finds the name in free text."""
    history = send(
        Chat("model-1", requests=1), answering("Hello from mock-service-a"), pattern=r"mock-service-\w"
    )
    assert requests_of(history)[0].served_by == "babysitter-a-server"


@pytest.mark.parametrize(
    ("handler", "wanted"),
    [
        pytest.param(answering(model="model-2"), "", id="another model is no error here: checks judge it"),
    ],
)
def test_the_answered_model_is_recorded(handler: Handler, wanted: str) -> None:
    """What the answer calls its model is kept for the checks."""
    (done,) = requests_of(send(Chat("model-1", requests=1), handler))
    assert (done.answered_model, done.error) == ("model-2", wanted)


def test_an_error_envelope_is_told_in_words() -> None:
    """A refused request is an error with status and message."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no model-9 here"}}, status=404)

    (done,) = requests_of(send(Chat("model-9", requests=1), refuse))
    assert (done.outcome, done.status, done.error) == ("error", 404, "404: no model-9 here")


def test_a_body_that_is_no_completion_is_an_error() -> None:
    """200 with something else inside is not ok."""

    async def nonsense(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    (done,) = requests_of(send(Chat("model-1", requests=1), nonsense))
    assert done.outcome == "error"
    assert "no chat completion" in done.error


def test_a_whole_stream_is_ok() -> None:
    """Chunks are counted, their content joined, [DONE] seen."""
    chunk = json.dumps({"model": "model-1", "choices": [{"delta": {"content": "x"}}]})
    (done,) = requests_of(send(Chat("model-1", requests=1, stream=True), streaming(chunk, chunk, "[DONE]")))
    assert (done.outcome, done.chunks, done.content, done.complete) == ("ok", 2, "xx", True)


@pytest.mark.parametrize("cut", [True, False])
def test_a_stream_without_its_end_is_an_error(cut: bool) -> None:
    """A stream that just stops, politely or not, is not ok."""
    chunk = json.dumps({"choices": [{"delta": {"content": "x"}}]})
    (done,) = requests_of(send(Chat("model-1", requests=1, stream=True), streaming(chunk, cut=cut)))
    assert (done.outcome, done.complete) == ("error", False)
    assert "broke off" in done.error


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    """A refused connection is explained."""

    async def main() -> RequestDone:
        history = History(SystemClock())
        client = Client(load="l", history=history, facts=FACTS, urls={"": "http://127.0.0.1:9"}, headers={})
        await Chat("model-1", requests=1).run(client)
        return requests_of(history)[0]

    done = asyncio.run(main())
    assert done.outcome == "error"
    assert "refused the connection" in done.error


def test_an_answer_that_takes_too_long_is_unknown() -> None:
    """Nobody knows whether a request without an answer was carried out."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    (done,) = requests_of(send(Chat("model-1", requests=1, timeout=0.05), hang))
    assert (done.outcome, done.error) == ("unknown", "no whole answer within 0.05 s")


def test_a_cap_bounds_every_load() -> None:
    """Attached servers get at most the cap, whatever the scenario says."""
    assert len(requests_of(send(Chat("model-1", requests=50), answering(), cap=7))) == 7


def test_a_rate_keeps_its_schedule() -> None:
    """20 requests at 200/s are started about 5 ms apart, whenever the answers come."""
    started = sorted(
        r.started for r in requests_of(send(Chat("model-1", rate=200.0, seconds=0.1), answering()))
    )
    assert len(started) == 20
    assert all(moment >= n / 200 - 1e-3 for n, moment in enumerate(started))


def test_a_load_that_is_ended_records_what_was_under_way() -> None:
    """Cancelling sends nothing more; requests still under way are recorded as unknown, then the end."""

    async def main() -> History:
        history = History(SystemClock())
        asked = asyncio.Event()

        async def hang(_: web.Request) -> web.StreamResponse:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with server(hang) as url:
            client = Client(load="l", history=history, facts=FACTS, urls={"": url}, headers={}, drain=0.05)
            task = asyncio.create_task(Chat("model-1", concurrency=2).run(client))
            await asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return history

    history = asyncio.run(main())
    done = requests_of(history)
    assert done
    assert {request.outcome for request in done} == {"unknown"}
    assert history.records[-1].event == LoadFinished(
        load="l", sent=len(done), ok=0, failed=0, unknown=len(done)
    )


def recording(asked: list[tuple[str, str, str]]) -> Handler:
    """Answers, and notes each request's key, header and prompt."""

    async def handler(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        said = body["messages"][0]["content"]
        asked.append((body.get("prompt_cache_key", ""), request.headers.get(SESSION_HEADER, ""), said))
        return web.json_response({"model": "model-1", "choices": [{"message": {"content": "hi"}}]})

    return handler


def test_sessions_take_turns_and_are_told_by_their_key() -> None:
    """Four requests of two sessions name them in turn, in the body and in the record."""
    asked: list[tuple[str, str, str]] = []
    done = requests_of(send(Chat("model-1", requests=4, sessions=2), recording(asked)))
    names = ["session-000", "session-001"] * 2
    assert asked == [(name, "", "Hello") for name in names]
    assert [request.session for request in done] == names


def test_a_session_may_be_told_by_a_header() -> None:
    """Then the body says nothing of it."""
    asked: list[tuple[str, str, str]] = []
    send(Chat("model-1", requests=1, sessions=1, session_by="header"), recording(asked))
    assert asked == [("", "session-000", "Hello")]


def test_a_session_may_be_told_by_how_its_prompts_begin() -> None:
    """Prompts of one session have a long beginning in common, those of two have none; no two are the same."""
    asked: list[tuple[str, str, str]] = []
    send(Chat("model-1", requests=4, sessions=2, session_by="prefix"), recording(asked))
    one, other, again, _ = [prompt for _, _, prompt in asked]
    assert one[:1024] == again[:1024] != other[:1024]
    assert one != again
    assert {(key, header) for key, header, _ in asked} == {("", "")}


def test_a_prompt_is_as_long_as_asked_for() -> None:
    """In bytes, to the byte."""
    asked: list[tuple[str, str, str]] = []
    send(Chat("model-1", requests=1, prompt_size=51_201.0), recording(asked))
    assert len(asked[0][2].encode()) == 51_201


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_may_leave_before_the_answer(stream: bool) -> None:
    """The server sees its connection close; the record says that it was the client's own doing."""
    seen: list[str] = []

    async def slow(_: web.Request) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("left")
            raise
        raise AssertionError

    async def main() -> RequestDone:
        history = History(SystemClock())
        app = web.Application()
        app.router.add_post(PATH, slow)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = Client(
            load="l",
            history=history,
            facts=FACTS,
            urls={"": f"http://127.0.0.1:{runner.addresses[0][1]}"},
            headers={},
        )
        await Chat("model-1", requests=1, stream=stream, leave_after=0.05).run(client)
        async with asyncio.timeout(5):
            while not seen:  # noqa: ASYNC110 - the handler has no event of ours
                await asyncio.sleep(0.01)
        await runner.cleanup()
        return requests_of(history)[0]

    done = asyncio.run(main())
    assert (done.outcome, done.error) == ("unknown", LEFT)
    assert seen == ["left"]


def test_when_the_first_chunk_came_is_recorded() -> None:
    """It lies between the first byte of the head and the end."""
    chunk = json.dumps({"model": "model-1", "choices": [{"delta": {"content": "x"}}]})
    (done,) = requests_of(send(Chat("model-1", requests=1, stream=True), streaming(chunk, chunk, "[DONE]")))
    assert done.first_byte is not None
    assert done.first_chunk is not None
    assert done.started <= done.first_byte <= done.first_chunk <= done.ended
