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
    """Collects an answer."""

    def __init__(self) -> None:
        self.status = 0
        self.streamed = False
        self.size = 0
        self.parts: list[bytes] = []
        self.moved = asyncio.Event()
        self.over = False
        self.error: FetchError | None = None
        self.connection: Connection | None = None

    def head(self, head: Head) -> None:
        self.status, self.streamed = head.status, head.streamed
        self.moved.set()

    def body(self, data: bytes) -> None:
        self.size += len(data)
        self.parts.append(data)

    def flush(self) -> None:
        if self.size > MAX_ANSWER:
            self.parts.clear()
            self.error = FetchError(f"an answer of more than {MAX_ANSWER} bytes")
        self.moved.set()

    def done(self) -> None:
        self.over = True
        self.flush()

    def failed(self, failure: Failure, why: str) -> None:
        self.error = FetchError(f"{failure.value}: {why}", failure)
        self.moved.set()

    def let_go(self) -> None:
        """Give up what has not come; the connection of a whole answer may carry another request by now."""
        if self.connection is not None and self.connection.sink is self:
            self.connection.abandon()

    async def more(self) -> None:
        """Wait until something has come; raises FetchError when nothing will."""
        while not (self.over or self.error):
            await self.moved.wait()
            self.moved.clear()
            if self.parts or self.status:
                break
        if self.error is not None:
            raise self.error


async def get(pool: Pool, path: str, *, host: str, headers: bytes = b"", timeout: float) -> tuple[int, bytes]:
    """Status and body of a GET; raises FetchError when there is none within the time."""
    answer = _Answer()
    try:
        async with asyncio.timeout(timeout):
            await _ask(answer, pool, path, host, headers)
            while not answer.over:
                await answer.more()
    except TimeoutError:
        msg = f"no answer within {timeout:g} s"
        raise FetchError(msg) from None
    finally:
        answer.let_go()
    return answer.status, b"".join(answer.parts)


async def stream(
    pool: Pool,
    path: str,
    *,
    host: str,
    headers: bytes,
    timeout: float,
    silence: float,
    take: Callable[[bytes], None],
) -> int:
    """Hand on a stream of events as it comes, until it ends; returns its status, 200 or why there is none.

    Raises FetchError when it breaks, does not begin within `timeout`, or says nothing for `silence` seconds.
    """
    answer = _Answer()
    patience = timeout
    try:
        async with asyncio.timeout(timeout):
            await _ask(answer, pool, path, host, headers)
        while not answer.over:
            async with asyncio.timeout(patience):
                await answer.more()
            if answer.status != 200 or not answer.streamed:
                return answer.status if answer.status != 200 else 404
            patience = silence
            if answer.parts:
                data = b"".join(answer.parts)
                answer.parts, answer.size = [], 0
                take(data)
    except TimeoutError:
        msg = f"nothing within {patience:g} s"
        raise FetchError(msg) from None
    finally:
        answer.let_go()
    return 200


async def _ask(answer: _Answer, pool: Pool, path: str, host: str, headers: bytes) -> None:
    try:
        connection = pool.take() or await pool.connect()
    except OSError as error:
        why = error.strerror or str(error) or "no connection in time"
        raise FetchError(why, failure_to_connect(error)) from None
    answer.connection = connection
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n".encode() + headers + b"\r\n"
    connection.request(answer, request, b"")
