"""One proxied request from its body to the last byte of its answer. Callbacks only: no task on the warm path.

While nothing was sent to the client a failed attempt may go to another backend; after that the client can
only be told. The client leaving ends the attempt, wherever it is: the backend sees its connection close.
"""

import asyncio
from typing import TYPE_CHECKING

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.outcomes import FAILURES, Failure, Outcome, failure_to_connect, is_repeatable
from system.router.refusals import BROKEN_STREAM, NO_BACKEND, Refusal
from system.router.table import Group
from system.router.upstream import Connection, Head, Pool

if TYPE_CHECKING:
    from system.router.front import Front
    from system.router.proxy import Proxy
    from system.router.request import Request


class Exchange:
    """A request on its way."""

    __slots__ = (
        "_chunked",
        "_connecting",
        "_connection",
        "_ending",
        "_forgiven",
        "_out",
        "_paused",
        "_streamed",
        "asked",
        "backend",
        "began",
        "closing",
        "first_byte",
        "front",
        "group",
        "last_heard",
        "proxy",
        "request",
        "started",
        "status",
        "tried",
    )

    def __init__(
        self, proxy: "Proxy", front: "Front", request: "Request", asked: Asked, group: Group
    ) -> None:
        self.proxy = proxy
        self.front = front
        self.request = request
        self.asked = asked
        self.group = group
        self.backend: Backend | None = None
        self.tried: list[Backend] = []
        self.began = self.last_heard = proxy.clock()
        self.first_byte = 0.0
        self.status = 0
        self.started = False  # something was sent to the client
        self.closing = request.closing
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._out: list[bytes] = []
        self._ending = b""  # the last bytes of a stream: whether an event is open
        self._chunked = self._streamed = self._paused = self._forgiven = False

    # towards the backend

    def attempt(self) -> None:
        """Send the request to a backend that was not tried yet, or say that there is none."""
        backend = self._choose()
        if backend is None:
            self._refuse(NO_BACKEND.saying(model=self.asked.model), Outcome.REFUSED)
            return
        self.backend = backend
        self.tried.append(backend)
        backend.outstanding += 1
        backend.sent += 1
        pool = self.proxy.pool(backend)
        connection = pool.take()
        if connection is None:
            self._connecting = asyncio.ensure_future(self._connect(pool))
        else:
            self._send(connection)

    def _choose(self) -> Backend | None:
        usable = self.group.usable
        if self.tried:
            usable = [backend for backend in usable if backend not in self.tried]
        return self.group.policy.pick(usable, self.asked) if usable else None

    async def _connect(self, pool: Pool) -> None:
        try:
            connection = await pool.connect()
        except OSError as error:
            self._connecting = None
            self.failed(failure_to_connect(error), error.strerror or str(error) or "no connection in time")
        else:
            self._connecting = None
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        assert self.backend is not None
        self._connection = connection
        self.last_heard = self.proxy.clock()
        connection.request(self, self.request.wire(self.backend.host_line), self.request.body)

    # from the backend: upstream.Sink

    def head(self, head: Head) -> None:
        assert self.backend is not None
        self.first_byte = self.proxy.clock()
        self.status = head.status
        self.started = True
        self._streamed = head.streamed
        self._chunked = head.until_close or head.chunked
        if self._chunked and self.request.http10:
            self._chunked, self.closing = (
                False,
                True,
            )  # HTTP/1.0 knows no chunks: the connection's end says it
        self.closing = self.closing or self.proxy.draining
        start = self.front.head(head.status, self.request, closing=self.closing)
        end = b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n"
        self._out += (start, *head.lines, self.backend.head, end)

    def body(self, data: bytes) -> None:
        if not self._chunked:
            self._out.append(data)
            return
        self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        if self._streamed:
            self._ending = data[-4:]

    def flush(self) -> None:
        if self._out:
            self.last_heard = self.proxy.clock()
            self.front.write(b"".join(self._out))
            self._out = []

    def done(self) -> None:
        self._connection = None
        if self._chunked:
            self.front.write(b"0\r\n\r\n")
        self._end(Outcome.of_status(self.status))

    def failed(self, failure: Failure, why: str) -> None:
        assert self.backend is not None
        backend, connection, self._connection = self.backend, self._connection, None
        told = FAILURES[failure]
        if self.started:
            self.proxy.failed(backend, failure, why)
            self._break_off(backend)
            self._end(told.outcome)
            return
        if failure is Failure.BROKE and connection is not None and connection.used > 1:
            self._forgive(backend)  # it was idle for a while, and may have been closed as we sent
        else:
            self.proxy.failed(backend, failure, why)
        if self._may_repeat(sent=told.sent):
            self._release(told.outcome)
            self.proxy.totals.retries[failure.value] += 1
            self.attempt()
        else:
            self._refuse(told.refusal.saying(backend=backend.name, phase=why), told.outcome)

    def _forgive(self, backend: Backend) -> None:
        """An old connection says nothing about the backend: a new one to it will, once."""
        self.proxy.pool(backend).drop_idle()
        if not self._forgiven:
            self._forgiven = True
            self.tried.remove(backend)

    def _may_repeat(self, *, sent: bool) -> bool:
        if sent and not is_repeatable(self.request.path):
            return False
        return any(backend not in self.tried for backend in self.group.usable)

    def _break_off(self, backend: Backend) -> None:
        """The answer cannot be completed: a stream says so in an event, anything else ends short."""
        self.flush()
        self.closing = True
        if not self._streamed or not self._chunked:
            self.front.abort()
            return
        event = BROKEN_STREAM.saying(backend=backend.name).event
        if not self._ending.endswith((b"\n\n", b"\r\n\r\n")):
            event = b"\n\n" + event
        self.front.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))

    # towards the client

    def client_left(self) -> None:
        """Stop at once: nobody waits for the answer."""
        self._stop()
        self._end(Outcome.CANCELLED)

    def _stop(self) -> None:
        connecting, self._connecting = self._connecting, None
        connection, self._connection = self._connection, None
        if connecting is not None:
            connecting.cancel()
        if connection is not None:
            connection.abandon()

    def client_is_slow(self) -> None:
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def client_caught_up(self) -> None:
        self._paused = False
        self.last_heard = self.proxy.clock()
        if self._connection is not None:
            self._connection.resume()

    def check(self, now: float) -> None:
        """Called now and then: give up an attempt that is silent for too long."""
        late = None if self._paused or self._connection is None else self.proxy.timeouts.exceeded(self, now)
        if late:
            self._stop()
            self.failed(Failure.SILENT, late)

    def reroute(self, why: str) -> None:
        """Its backend has gone silent: try another if nothing was sent to the client and there is one."""
        if not self.started and self._connection is not None and self._may_repeat(sent=True):
            self._stop()
            self.failed(Failure.SILENT, why)

    def _refuse(self, refusal: Refusal, outcome: Outcome) -> None:
        self.status = refusal.status
        self.closing = self.closing or self.proxy.draining
        self.front.refuse(refusal, self.request)
        self._end(outcome)

    def _release(self, outcome: Outcome) -> None:
        """Account for the attempt that has ended."""
        backend, self.backend = self.backend, None
        if backend is not None:
            backend.outstanding -= 1
            self.proxy.account(self, backend, outcome)

    def _end(self, outcome: Outcome) -> None:
        self._release(outcome)
        self.proxy.ended(self, outcome)
        self.front.exchanged(self)
