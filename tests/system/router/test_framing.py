"""Framing at the edges, end to end: trailers, informational answers, endless heads, bodies that look like requests."""

import asyncio
import select
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from system.router.outcomes import retry_after
from tests.system.router.stage import (
    ADDRESS,
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

MINUTE = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CHAT = "/v1/chat/completions"
BODY = b'{"model":"m"}'


def test_trailers_of_an_answer_are_dropped(tmp_path: Path) -> None:
    """The body arrives whole, its trailers do not, and the connection to the backend is as good as new."""

    async def trailed(_: FakeBackend, call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(b"data: 1\n\n") + b"0\r\nX-Trailer: 1\r\n\r\n")

    async def scene() -> None:
        backend = FakeBackend("a", trailed)
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            for _ in range(3):
                await client.send(request("POST", CHAT, BODY))
                status, _ = await client.head()
                rest = await client.reader.readuntil(b"0\r\n\r\n")
                assert (status, rest) == (200, chunk(b"data: 1\n\n") + b"0\r\n\r\n")
            assert backend.connections == 1

    play(scene())


def test_informational_answers_are_not_the_answer(tmp_path: Path) -> None:
    """100 and 103 of a backend are passed over; what follows them is passed on, and counts as the answer."""

    async def hints(_: FakeBackend, call: Call) -> None:
        await call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await call.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + whole(b"{}"))

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", hints)) as stage:
            client = await stage.connect()
            for _ in range(2):
                await client.send(request("POST", CHAT, BODY))
                answer = await client.answer()
                assert (answer.status, answer.body, answer.headers.get("link")) == (200, b"{}", None)

    play(scene())


def test_answer_whose_head_does_not_end_is_a_bad_gateway(tmp_path: Path) -> None:
    """It is not collected for ever: 502, and that connection is closed."""

    async def endless(_: FakeBackend, call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await call.send(b"X-A: " + b"a" * 1000 + b"\r\n")

    async def scene() -> None:
        backend = FakeBackend("a", endless)
        async with router(tmp_path, backend) as stage:
            answer = await stage.chat()
            assert (answer.status, answer.json["error"]["code"]) == (502, "backend_malformed")
            await until(lambda: backend.left == 1)

    play(scene())


def test_head_that_does_not_end_is_refused_and_the_client_can_read_it(tmp_path: Path) -> None:
    """431 in the envelope reaches a client that goes on sending; nobody else notices."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a")) as stage:
            client = await stage.connect()
            await client.send(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n".encode())
            for _ in range(80):
                await client.send(b"X-A: " + b"a" * 1000 + b"\r\n")
            assert (await stage.chat()).status == 200
            answer = await client.answer()
            assert (answer.status, answer.json["error"]["code"]) == (431, "headers_too_large")
            assert await client.closed()

    play(scene())


def test_body_of_a_refused_request_is_not_the_next_request(tmp_path: Path) -> None:
    """What looks like a request in the body of one that was refused early is its body all the same."""

    async def scene() -> None:
        backend = FakeBackend("a")
        async with router(tmp_path, backend) as stage:
            inner = request("POST", CHAT, BODY, x_request_id="smuggled")
            client = await stage.connect()
            head, _, _ = request("POST", "/nowhere", inner).partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            await client.send(inner + request("POST", CHAT, BODY, x_request_id="honest"))
            answers = [await client.answer() for _ in range(2)]
            assert [answer.status for answer in answers] == [404, 200]
            assert [call.header("x-request-id") for call in backend.calls] == ["honest"]

    play(scene())


def test_answer_to_head_has_no_body_whatever_it_says(tmp_path: Path) -> None:
    """A length in the answer to HEAD announces nothing; the next answer is not taken for its body."""

    async def by_method(_: FakeBackend, call: Call) -> None:
        await call.send(whole(b"12345")[: None if call.head.startswith(b"GET") else -5])

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", by_method), proxy_everything=True) as stage:
            client = await stage.connect()
            for _ in range(2):
                await client.send(request("HEAD", "/x"))
                status, headers = await client.head()
                assert (status, headers["content-length"]) == (200, "5")
                await client.send(request("GET", "/x"))
                assert (await client.answer()).body == b"12345"

    play(scene())


def test_client_that_sends_a_byte_now_and_then_is_cut_off(tmp_path: Path) -> None:
    """Each byte is progress, and still the request must be whole in time: 408, in its head as in its body."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), request_timeout=0.3) as stage:

            async def dribble(beginning: bytes, rest: bytes) -> None:
                client = await stage.connect()
                await client.send(beginning)
                answered = asyncio.ensure_future(client.answer())
                for byte in rest:
                    if answered.done():
                        break
                    await client.send(bytes([byte]))
                    await asyncio.sleep(0.02)
                answer = await answered
                assert (answer.status, answer.json["error"]["code"]) == (408, "request_timeout")

            whole_request = request("POST", CHAT, b'{"model":"m","prompt":"' + b"a" * 500 + b'"}')
            at = whole_request.index(b'{"model"')
            await asyncio.gather(
                dribble(b"", request("POST", CHAT, BODY, x_a="a" * 500)),
                dribble(whole_request[:at], whole_request[at:]),
            )
            assert (await stage.chat()).status == 200

    play(scene())


def test_burst_of_connections_is_taken(tmp_path: Path) -> None:
    """Hundreds of clients that connect while the router is busy with something else wait in line; none is put off."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a")) as stage:
            clients = [socket.socket() for _ in range(400)]
            for client in clients:
                client.settimeout(0)
                client.connect_ex((ADDRESS, stage.port))
            connecting = select.poll()
            for client in clients:
                connecting.register(client, select.POLLOUT)
            assert len(connecting.poll(0)) == 400
            for client in clients:
                client.close()

    play(scene())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"7", 7.0),
        (b"3600", 60.0),
        (b"9999999999999", 60.0),
        (b"Tue, 24 Nov 2026 12:00:09 GMT", 9.0),
        (b"Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        (b"Tue, 24 Nov 2036 12:00:00 GMT", 60.0),
        (b"soon", 0.0),
        (b"-1", 0.0),
        (b"\xff", 0.0),
        (b"", 0.0),
    ],
)
def test_rest_is_asked_for_in_seconds_or_until_a_date(value: bytes, seconds: float) -> None:
    """Both forms that HTTP has; a minute at most; nonsense and the past ask for nothing."""
    assert retry_after(value, MINUTE) == seconds
