"""The router's own requests, beside those it proxies."""

import asyncio
import time

from system.router import fetch
from system.router.outcomes import Failure
from system.router.upstream import Connection, Head, Pool
from tests.system.router.stage import ADDRESS, FakeBackend, play


class Waiting:
    """An upstream.Sink that only wants to know how it ended."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def head(self, head: Head) -> None: ...
    def body(self, data: bytes) -> None: ...
    def flush(self) -> None: ...

    def done(self) -> None:
        self.ended.set_result("whole")

    def failed(self, failure: Failure, why: str) -> None:
        self.ended.set_result(f"{failure.value}: {why}")


class BusyPool(Pool):
    """As soon as a connection is free, another request goes out on it."""

    next: Waiting | None

    def give_back(self, connection: Connection) -> None:
        waiting, self.next = self.next, None
        if waiting is None:
            super().give_back(connection)
        else:
            connection.request(waiting, b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n", b"")


def test_a_probe_that_was_answered_leaves_the_connection_to_whoever_has_it_now() -> None:
    """Between a probe's answer and its task going on, a client's request may have taken the connection."""

    async def scene() -> None:
        backend = await FakeBackend("b").start()
        pool = BusyPool(
            ADDRESS, backend.port, tls=None, clock=time.monotonic, connect_timeout=2, idle_timeout=4
        )
        pool.next = other = Waiting()
        try:
            status, _ = await fetch.get(pool, "/health", host="h", timeout=2)
            assert status == 200
            await asyncio.wait([other.ended], timeout=2)
            assert other.ended.done()
            assert other.ended.result() == "whole"
        finally:
            pool.close()
            await backend.stop()

    play(scene())
