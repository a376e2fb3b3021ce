"""The small HTTP client against servers that behave and that do not."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from system.http_client import Answer, HttpClient, Unreachable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answers(raw: bytes, *, close: bool = True, seen: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        size = int(request.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        request += await reader.readexactly(size)
        if seen is not None:
            seen.append(request)
        writer.write(raw)
        if not close:
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    return serve


def ask(serve: Serve, method: str = "GET", json: object = None, token: str | None = None) -> Answer:
    async def main() -> Answer:
        done = asyncio.Event()

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader, writer)
            done.set()

        async with await asyncio.start_server(served, "127.77.1.1", 0) as server:
            url = "http://{}:{}/a?b=c".format(*server.sockets[0].getsockname())
            try:
                return await HttpClient(token).request(method, url, json=json, within=1.0)
            finally:
                await done.wait()

    return asyncio.run(main())


GOOD: list[tuple[bytes, int, bytes]] = [
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404, b""),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hi!"),
    (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
]


@pytest.mark.parametrize(("raw", "status", "body"), GOOD)
def test_an_answer_is_read_however_its_end_is_told(raw: bytes, status: int, body: bytes) -> None:
    """By length, by chunks, by the end of the connection, or by having no body."""
    answer = ask(answers(raw))

    assert (answer.status, answer.body) == (status, body)


def test_an_answer_is_complete_before_the_connection_ends() -> None:
    """A server that keeps the connection open does not keep the client waiting."""
    answer = ask(answers(b'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"a":1}', close=False))

    assert answer.json() == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "closed before the answer was complete"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", "closed before the answer was complete"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
            "closed before the answer was complete",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP answer"),
    ],
)
def test_half_an_answer_is_none(raw: bytes, words: str) -> None:
    """What is cut short or no HTTP is said to be so."""
    with pytest.raises(Unreachable, match=words):
        ask(answers(raw))


def test_silence_ends_in_time() -> None:
    """A server that accepts and says nothing is given up after the time allowed."""
    with pytest.raises(Unreachable, match=r"no answer within 1\.0 s") as silent:
        ask(answers(b"", close=False))

    assert not silent.value.refused


def test_a_refused_connection_is_told_apart() -> None:
    """Where nobody listens, the answer is known at once and needs no second look."""
    with pytest.raises(Unreachable, match="connection refused") as refused:
        asyncio.run(HttpClient().request("GET", "http://127.77.1.1:1/"))

    assert refused.value.refused


def test_a_request_carries_path_body_and_token() -> None:
    """Method, query, JSON body and bearer token are sent as given."""
    seen: list[bytes] = []
    ask(answers(b"HTTP/1.1 204 No Content\r\n\r\n", seen=seen), "POST", {"x": 1}, token="s3cret")

    assert seen[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"authorization: Bearer s3cret\r\n" in seen[0]
    assert seen[0].endswith(b'content-length: 7\r\n\r\n{"x":1}')
