"""One request of the router's own, to a registry or a backend, over the same kind of connection."""

import asyncio
from collections.abc import Callable

from system.router.outcomes import Failure, failure_to_connect
from system.router.upstream import Connection, Head, Pool

MAX_ANSWER = 64 * 1024 * 1024


class FetchError(Exception):
    """No answer came; the text says why."""

    def __init__(self, message: str, failure: Failure = Failure.SILENT) -> None:
        super().__init__(message)
        self.failure = failure


class _Answer:
    """Collects an answer; with `on_body` it hands on each piece instead."""

    def __init__(self, on_body: Callable[[bytes], None] | None) -> None:
        self.status = 0
        self.parts: list[bytes] = []
        self.size = 0
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_body = on_body

    def head(self, head: Head) -> None:
        self.status = head.status

    def body(self, data: bytes) -> None:
        if self._on_body is not None and self.status == 200:
            self._on_body(data)
            return
        self.size += len(data)
        if self.size <= MAX_ANSWER:
            self.parts.append(data)

    def flush(self) -> None: ...

    def done(self) -> None:
        if not self.whole.done():
            self.whole.set_result(None)

    def failed(self, failure: Failure, why: str) -> None:
        if not self.whole.done():
            self.whole.set_exception(FetchError(f"{failure.value}: {why}", failure))


async def _connected(pool: Pool) -> Connection:
    try:
        return await pool.connect()
    except OSError as error:
        why = error.strerror or str(error) or "no connection in time"
        raise FetchError(why, failure_to_connect(error)) from None


async def get(
    pool: Pool,
    path: str,
    *,
    host: str,
    headers: bytes = b"",
    timeout: float,
    on_body: Callable[[bytes], None] | None = None,
) -> tuple[int, bytes]:
    """Status and body of a GET; raises FetchError when there is none within the time."""
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout):
            connection = pool.take() or await _connected(pool)
            answer = _Answer(on_body)
            request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n".encode() + headers + b"\r\n"
            connection.request(answer, request, b"")
            await answer.whole
    except TimeoutError:
        msg = f"no answer within {timeout:g} s"
        raise FetchError(msg) from None
    finally:
        if connection is not None and connection.sink is not None:
            connection.abandon()
    if answer.size > MAX_ANSWER:
        msg = f"an answer of more than {MAX_ANSWER} bytes"
        raise FetchError(msg)
    return answer.status, b"".join(answer.parts)
