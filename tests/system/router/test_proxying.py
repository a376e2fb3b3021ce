"""Proxying, end to end: a real client socket, the router, scripted backends."""

import asyncio
import json
import socket
from pathlib import Path

from system.router.upstream import Pool
from tests.system.router.stage import (
    ADDRESS,
    STREAM_HEAD,
    Call,
    FakeBackend,
    chunk,
    free_port,
    play,
    request,
    router,
    until,
    whole,
)

CHAT = b'{"model":"m","messages":[]}'


def test_round_robin_hits_every_backend_once_per_cycle(tmp_path: Path) -> None:
    """With stable membership every cycle of round robin goes to each backend exactly once."""

    async def scene() -> list[str]:
        backends = [FakeBackend(name) for name in "abc"]
        async with router(tmp_path, *backends, policy="round-robin") as stage:
            return [(await stage.chat()).headers["x-muster-backend"] for _ in range(9)]

    served = play(scene())
    assert all(sorted(served[start : start + 3]) == ["a", "b", "c"] for start in (0, 3, 6))


def test_counting_is_per_model(tmp_path: Path) -> None:
    """Alternating two models does not pin either of them to one backend."""

    async def scene() -> list[str]:
        backends = [FakeBackend(name, models=("m", "n")) for name in "ab"]
        served = []
        async with router(tmp_path, *backends, policy="round-robin") as stage:
            for _ in range(4):
                served.append((await stage.chat("m")).headers["x-muster-backend"])
                await stage.chat("n")
        return served

    assert sorted(play(scene())) == ["a", "a", "b", "b"]


def test_body_and_headers_arrive_as_sent(tmp_path: Path) -> None:
    """The body's bytes, unknown headers and the trace context reach the backend untouched; hop headers do not."""

    async def scene() -> Call:
        backend = FakeBackend("a")
        body = b'{ "model" : "m" , "x":1.0,  "u":"\\u00e9" }'
        headers = {"traceparent": "00-1-2-01", "X_Odd": "a;b", "Connection": "X-Private", "X_Private": "1"}
        async with router(tmp_path, backend) as stage:
            await stage.ask("POST", "/v1/chat/completions?a=b", body, **headers, TE="trailers")
        return backend.calls[0]

    call = play(scene())
    assert call.body == b'{ "model" : "m" , "x":1.0,  "u":"\\u00e9" }'
    assert call.head.startswith(b"POST /v1/chat/completions?a=b HTTP/1.1\r\n")
    assert (call.header("traceparent"), call.header("x-odd")) == ("00-1-2-01", "a;b")
    assert [call.header(name) for name in ("x-private", "te", "connection")] == [None, None, None]


def test_chunked_request_arrives_whole(tmp_path: Path) -> None:
    """A body sent in chunks arrives byte for byte, framed by its length."""

    async def scene() -> Call:
        backend = FakeBackend("a")
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            await client.send(head + chunk(CHAT[:9]) + chunk(CHAT[9:]) + b"0\r\nX-Trailer: 1\r\n\r\n")
            assert (await client.answer()).status == 200
            client.close()
        return backend.calls[0]

    call = play(scene())
    assert (call.body, call.header("content-length"), call.header("x-trailer")) == (
        CHAT,
        str(len(CHAT)),
        None,
    )


def test_request_id_is_kept_or_made_and_passed_both_ways(tmp_path: Path) -> None:
    """A given x-request-id reaches backend and client; a missing one is made, each time another."""

    async def scene() -> list[tuple[str | None, str]]:
        backend = FakeBackend("a")
        async with router(tmp_path, backend) as stage:
            answers = [await stage.chat(x_request_id="mine"), await stage.chat(), await stage.chat()]
        return [
            (call.header("x-request-id"), answer.headers["x-request-id"])
            for call, answer in zip(backend.calls, answers, strict=True)
        ]

    ids = play(scene())
    assert ids[0] == ("mine", "mine")
    assert all(sent == got for sent, got in ids)
    assert len({got for _, got in ids}) == 3


def test_backend_is_named_once_and_by_the_router(tmp_path: Path) -> None:
    """What a backend says about itself or the request does not come through beside the router's word."""

    async def claims(_: FakeBackend, call: Call) -> None:
        await call.send(whole(b"{}", more=b"x-muster-backend: other\r\nx-request-id: other\r\nX-More: 1\r\n"))

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", claims)) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT, x_request_id="mine"))
            head = (await client.reader.readuntil(b"\r\n\r\n")).lower()
            assert b"other" not in head
            assert b"x-more: 1" in head
            assert (head.count(b"x-muster-backend: a\r\n"), head.count(b"x-request-id: mine\r\n")) == (1, 1)

    play(scene())


def test_chunks_are_passed_on_as_they_arrive(tmp_path: Path) -> None:
    """Each chunk of a stream reaches the client before the backend sends the next one."""

    async def scene() -> list[bytes]:
        seen = asyncio.Event()

        async def stream(_: FakeBackend, call: Call) -> None:
            await call.send(STREAM_HEAD)
            for text in (b"data: 1\n\n", b"data: 2\n\n"):
                await call.send(chunk(text))
                await seen.wait()
                seen.clear()
            await call.send(b"0\r\n\r\n")

        async with router(tmp_path, FakeBackend("a", stream)) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            await client.head()
            got = []
            while text := await client.chunk():
                got.append(text)
                seen.set()
            client.close()
            return got

    assert play(scene()) == [b"data: 1\n\n", b"data: 2\n\n"]


def test_client_leaving_before_the_first_byte_cancels_the_backend(tmp_path: Path) -> None:
    """The backend sees its connection go when the client leaves while it still computes."""

    async def hang(_: FakeBackend, call: Call) -> None:
        assert await call.reader.read(1) == b""
        raise ConnectionResetError

    async def scene() -> None:
        backend = FakeBackend("a", hang)
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            await until(lambda: backend.calls)
            client.close()
            await until(lambda: backend.left == 1)
            assert (await stage.services())["a"]["outstanding"] == 0

    play(scene())


def test_client_leaving_in_mid_stream_cancels_the_backend(tmp_path: Path) -> None:
    """The backend sees its connection go when the client leaves during the stream."""

    async def endless(_: FakeBackend, call: Call) -> None:
        await call.send(STREAM_HEAD)
        while True:
            await call.send(chunk(b"data: x\n\n"))
            await asyncio.sleep(0.01)

    async def scene() -> None:
        backend = FakeBackend("a", endless)
        async with router(tmp_path, backend) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            await client.head()
            client.close()
            await until(lambda: backend.left == 1)
            assert (await stage.services())["a"]["outstanding"] == 0

    play(scene())


def test_refused_connection_is_retried_elsewhere_and_the_dead_left_at_once(tmp_path: Path) -> None:
    """One backend is not there: no request fails, and after the first it is not tried again until it is back."""

    async def scene() -> None:
        dead, alive = FakeBackend("dead", port=free_port()), FakeBackend("alive")
        await alive.start()
        async with router(
            tmp_path, dead, alive, start=False, policy="round-robin", probe_interval=60.0
        ) as stage:
            answers = [await stage.chat() for _ in range(6)]
            assert [answer.status for answer in answers] == [200] * 6
            services = await stage.services()
            assert (services["dead"]["healthy"], services["alive"]["request_count"]) == (False, 6)
            assert services["dead"]["request_count"] <= 1
            await dead.start()
            async with asyncio.timeout(2):
                while (await stage.chat()).headers["x-muster-backend"] != "dead":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    play(scene())


def test_broken_connection_before_the_answer_is_retried_elsewhere(tmp_path: Path) -> None:
    """A backend that takes the request and resets costs the client nothing."""

    async def reset(_: FakeBackend, call: Call) -> None:
        raise ConnectionResetError

    async def scene() -> list[int]:
        async with router(tmp_path, FakeBackend("bad", reset), FakeBackend("good")) as stage:
            return [(await stage.chat()).status for _ in range(4)]

    assert play(scene()) == [200] * 4


def test_what_may_not_be_repeated_is_not(tmp_path: Path) -> None:
    """A request that may have been seen is repeated only where that is safe: /v1/responses stores things."""

    async def reset(_: FakeBackend, call: Call) -> None:
        raise ConnectionResetError

    async def scene() -> None:
        backends = [FakeBackend("a", reset), FakeBackend("b", reset)]
        async with router(tmp_path, *backends) as stage:
            answer = await stage.ask("POST", "/v1/responses", b'{"model":"m"}')
            assert (answer.status, answer.json["error"]["code"]) == (502, "backend_broke")
            assert sum(len(backend.calls) for backend in backends) == 1

    play(scene())


def test_stream_that_breaks_ends_with_an_error_event(tmp_path: Path) -> None:
    """A backend that dies in mid-stream yields an error event, not silence; nothing is sent twice."""

    async def broken(_: FakeBackend, call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(b"data: 1\n\n"))
        raise ConnectionResetError

    async def scene() -> bytes:
        async with router(tmp_path, FakeBackend("a", broken), FakeBackend("b", broken)) as stage:
            return (await stage.chat()).body

    first, event, rest = play(scene()).split(b"\n\n")
    assert (first, rest) == (b"data: 1", b"")
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "stream_broken"


def test_answer_that_breaks_is_not_taken_for_whole(tmp_path: Path) -> None:
    """A body with a length that ends early ends early for the client, too."""

    async def broken(_: FakeBackend, call: Call) -> None:
        await call.send(whole(b"x" * 100)[:-50])
        raise ConnectionResetError

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", broken)) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            _, headers = await client.head()
            assert headers["content-length"] == "100"
            try:
                rest = await client.reader.read()
            except ConnectionError:
                return
            assert len(rest) < 100

    play(scene())


def test_backend_errors_pass_through(tmp_path: Path) -> None:
    """Status and body of a backend's own error are not touched, and no other backend is asked."""

    async def refuses(_: FakeBackend, call: Call) -> None:
        await call.send(whole(b'{"error":{"message":"too long"}}', "400 Bad Request"))

    async def scene() -> None:
        backends = [FakeBackend("a", refuses), FakeBackend("b", refuses)]
        async with router(tmp_path, *backends) as stage:
            answer = await stage.chat()
            assert (answer.status, answer.body) == (400, b'{"error":{"message":"too long"}}')
            assert sum(len(backend.calls) for backend in backends) == 1

    play(scene())


def test_connections_to_backends_are_kept(tmp_path: Path) -> None:
    """Requests that follow each other share a connection."""

    async def scene() -> int:
        backend = FakeBackend("a")
        async with router(tmp_path, backend, probe_interval=60.0) as stage:
            for _ in range(5):
                await stage.chat()
        return backend.connections

    assert play(scene()) <= 2  # one of them may be the first probe's


def test_connection_that_nobody_acknowledges_breaks(tmp_path: Path) -> None:
    """A pulled cable is noticed by the kernel, within the time a connection may take."""

    async def scene() -> int:
        backend = await FakeBackend("a").start()
        pool = Pool(ADDRESS, backend.port, tls=None, clock=lambda: 0.0, connect_timeout=1.5, idle_timeout=4.0)
        connection = await pool.connect()
        sock = connection.transport.get_extra_info("socket")
        timeout: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        connection.close()
        return timeout

    assert play(scene()) == 1500


def test_answer_without_a_length_ends_with_the_connection(tmp_path: Path) -> None:
    """A body that the backend ends by closing reaches the client whole, in chunks."""

    async def until_close(_: FakeBackend, call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello")
        call.writer.close()

    async def scene() -> bytes:
        async with router(tmp_path, FakeBackend("a", until_close)) as stage:
            return (await stage.chat()).body

    assert play(scene()) == b"hello"


def test_slow_client_slows_the_backend_down(tmp_path: Path) -> None:
    """A client that does not read is not buffered for: the backend has to wait."""
    sent = 0

    async def flood(_: FakeBackend, call: Call) -> None:
        nonlocal sent
        await call.send(STREAM_HEAD)
        while True:
            await call.send(chunk(b"x" * 65_536))
            sent += 65_536

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", flood)) as stage:
            client = await stage.connect()
            client.writer.transport.get_extra_info("socket")
            client.reader._limit = 1024  # type: ignore[attr-defined]  # so that this side stops reading soon
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            before = -1
            while sent != before or not sent:
                before = sent
                await asyncio.sleep(0.2)
            client.close()

    play(scene())
    assert sent < 32 * 1024 * 1024


def test_silent_backend_is_given_up_and_another_asked(tmp_path: Path) -> None:
    """A backend that stops answering anything, probes included, does not keep its requests."""

    async def scene() -> None:
        frozen, alive = FakeBackend("frozen"), FakeBackend("alive")
        async with router(tmp_path, frozen, alive, probe_interval=0.05, probe_timeout=0.05) as stage:
            frozen.silent = True
            answers = [await stage.chat() for _ in range(4)]
            assert [answer.headers["x-muster-backend"] for answer in answers] == ["alive"] * 4
            frozen.silent = False

    play(scene())


def test_backend_that_exceeds_its_time_is_a_timeout(tmp_path: Path) -> None:
    """Without another backend to ask, no first byte in time is 504, in OpenAI's envelope."""

    async def hang(_: FakeBackend, call: Call) -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", hang), first_byte_timeout=0.1) as stage:
            answer = await stage.chat()
            assert (answer.status, answer.json["error"]["code"]) == (504, "backend_timeout")

    play(scene())
