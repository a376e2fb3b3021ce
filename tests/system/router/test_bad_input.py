"""What bad input gets: the right status, in OpenAI's envelope, without harm to anybody else."""

import asyncio
from pathlib import Path

import pytest

from tests.system.router.stage import (
    STREAM_HEAD,
    Call,
    FakeBackend,
    chunk,
    play,
    request,
    router,
    until,
    whole,
)

CHAT = "/v1/chat/completions"

TABLE = [
    ("POST", CHAT, b"{", 400, "invalid_json"),
    ("POST", CHAT, b"", 400, "invalid_json"),
    ("POST", CHAT, b"[1]", 400, "invalid_json"),
    ("POST", CHAT, b"\xff\xfe", 400, "invalid_json"),
    ("POST", CHAT, b"[" * 100_000, 400, "invalid_json"),
    ("POST", CHAT, b"{}", 400, "missing_required_parameter"),
    ("POST", CHAT, b'{"model":null}', 400, "missing_required_parameter"),
    ("POST", CHAT, b'{"model":7}', 400, "invalid_type"),
    ("POST", CHAT, b'{"model":""}', 400, "invalid_type"),
    ("POST", CHAT, b'{"model":"{nope}"}', 404, "model_not_found"),
    ("POST", "/chat/completions", b'{"model":"nope"}', 404, "model_not_found"),
    ("POST", "/v1/anything/else", b'{"model":"nope"}', 404, "model_not_found"),
    ("GET", CHAT, b"", 405, "method_not_allowed"),
    ("POST", "/v1/models", b"{}", 405, "method_not_allowed"),
    ("GET", "/nowhere", b"", 404, "unknown_url"),
    ("GET", "/v1/models/nope", b"", 404, "model_not_found"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"), TABLE, ids=[str(n) for n in range(len(TABLE))]
)
def test_mistakes_are_told_in_the_envelope(
    tmp_path: Path, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    """Each mistake has its status and code; the connection stays usable for the next request."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            await client.send(request(method, path, body, x_request_id="mine"))
            answer = await client.answer()
            error = answer.json["error"]
            assert (answer.status, error["code"]) == (status, code)
            assert set(error) == {"message", "type", "param", "code"}
            assert answer.headers["x-request-id"] == "mine"
            await client.send(request("POST", CHAT, b'{"model":"m"}'))
            assert (await client.answer()).status == 200
            assert len(backend.calls) == 1

    play(scene())


def test_known_model_without_a_backend_is_unavailable_not_unknown(tmp_path: Path) -> None:
    """A model whose backends are all dead is 503; one that nobody ever had is 404."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend, probe_interval=60.0) as stage:
            await backend.stop()
            answers = [await stage.chat(), await stage.chat(), await stage.chat("never")]
            assert [answer.status for answer in answers] == [503, 503, 404]
            assert (await stage.ask("GET", "/v1/models")).json == {"object": "list", "data": []}
            assert (await stage.ask("GET", "/health")).json["healthy_services"] == "0/1"

    play(scene())


def test_body_over_the_limit_is_refused_and_the_client_can_read_it(tmp_path: Path) -> None:
    """413 reaches a client that goes on sending, and the connection is closed."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), max_body=1000) as stage:
            client = await stage.connect()
            head = f"POST {CHAT} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            await client.send(head + b"800\r\n" + b"x" * 0x800)
            answer = await client.answer()
            assert (answer.status, answer.json["error"]["code"]) == (413, "request_too_large")
            assert await client.closed()

    play(scene())


def test_client_that_dawdles_is_cut_off(tmp_path: Path) -> None:
    """A request that does not arrive in time is 408; others are served meanwhile."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), request_timeout=0.2) as stage:
            client = await stage.connect()
            await client.send(f"POST {CHAT} HTTP/1.1\r\nHo".encode())
            assert (await stage.chat()).status == 200
            answer = await client.answer()
            assert (answer.status, answer.json["error"]["code"]) == (408, "request_timeout")
            assert await client.closed()

    play(scene())


def test_client_that_never_reads_is_cut_off(tmp_path: Path) -> None:
    """It is not buffered for, and after the stated time its connection and the backend's are closed."""

    async def floods(_: FakeBackend, call: Call) -> None:
        await call.send(STREAM_HEAD)
        while True:
            await call.send(chunk(b"x" * 65_536))

    async def scene() -> None:
        backend = FakeBackend("a", floods)
        async with router(tmp_path, backend, stall_timeout=0.2) as stage:
            client = await stage.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("POST", CHAT, b'{"model":"m"}'))
            await until(lambda: backend.left == 1)
            assert (await stage.services())["a"]["outstanding"] == 0

    play(scene())


def test_idle_connection_is_closed(tmp_path: Path) -> None:
    """A connection without a request is closed after the stated time, without a word."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), keep_alive=0.2) as stage:
            client = await stage.connect()
            assert await client.closed()

    play(scene())


def test_garbage_behind_a_request_does_not_spoil_its_answer(tmp_path: Path) -> None:
    """A good request followed by garbage is answered; then the garbage is refused, and the connection closed."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a")) as stage:
            client = await stage.connect()
            await client.send(request("POST", CHAT, b'{"model":"m"}') + b"\x00garbage\r\n\r\n")
            assert [(await client.answer()).status for _ in range(2)] == [200, 400]
            assert await client.closed()

    play(scene())


def test_many_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """A thousand requests in one write get a thousand answers, in order, however they are answered."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a")) as stage:
            client = await stage.connect()
            bodies = [b'{"model":"m"}', b'{"model":"none"}']
            await client.send(
                b"".join(request("POST", CHAT, bodies[n % 2], x_request_id=f"id-{n}") for n in range(1000))
            )
            answers = [await client.answer() for _ in range(1000)]
            assert [answer.headers["x-request-id"] for answer in answers] == [f"id-{n}" for n in range(1000)]
            assert [answer.status for answer in answers] == [200, 404] * 500

    play(scene())


def test_many_pipelined_requests_for_a_dead_backend_are_all_refused(tmp_path: Path) -> None:
    """Each is refused at once, one after the other, and not one inside the other."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend, probe_interval=60.0) as stage:
            await backend.stop()
            assert (await stage.chat()).status == 503
            client = await stage.connect()
            await client.send(request("POST", CHAT, b'{"model":"m"}') * 1000)
            assert [(await client.answer()).status for _ in range(1000)] == [503] * 1000

    play(scene())


def test_client_that_asks_before_it_sends_is_told_to_go_on(tmp_path: Path) -> None:
    """`Expect: 100-continue` gets 100, then the answer; the backend never sees the expectation."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            body = b'{"model":"m"}'
            await client.send(request("POST", CHAT, body, expect="100-continue")[: -len(body)])
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(body)
            assert (await client.answer()).status == 200
            assert backend.calls[0].header("expect") is None

    play(scene())


def test_http_1_0_client_gets_a_body_it_understands(tmp_path: Path) -> None:
    """HTTP/1.0 knows no chunks: a stream ends with the connection."""

    async def stream(_: FakeBackend, call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(b"data: 1\n\n") + b"0\r\n\r\n")

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", stream)) as stage:
            client = await stage.connect()
            body = b'{"model":"m"}'
            await client.send(f"POST {CHAT} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"data: 1\n\n")
            assert "transfer-encoding" not in answer.headers

    play(scene())


def test_backend_that_answers_twice_does_not_answer_the_next_request(tmp_path: Path) -> None:
    """Bytes behind a whole answer poison nobody: that connection is not used again."""

    async def twice(backend: FakeBackend, call: Call) -> None:
        body = call.body
        await call.send(whole(body) + whole(b"smuggled"))

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", twice)) as stage:
            bodies = [b'{"model":"m","n":%d}' % n for n in range(5)]
            client = await stage.connect()
            for body in bodies:
                await client.send(request("POST", CHAT, body))
                assert (await client.answer()).body == body

    play(scene())


MALFORMED_ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"hello\r\n\r\n",
]


@pytest.mark.parametrize("raw", MALFORMED_ANSWERS, ids=[str(n) for n in range(len(MALFORMED_ANSWERS))])
def test_malformed_answer_is_a_bad_gateway(tmp_path: Path, raw: bytes) -> None:
    """What a backend may not send is not passed on: 502, in the envelope."""

    async def malformed(_: FakeBackend, call: Call) -> None:
        await call.send(raw)
        await asyncio.sleep(0.05)

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", malformed)) as stage:
            answer = await stage.chat()
            assert (answer.status, answer.json["error"]["code"]) == (502, "backend_malformed")

    play(scene())
