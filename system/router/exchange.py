"""One proxied request from its body to the last byte of its answer. Callbacks only: no task on the warm path.

While nothing was sent to the client a failed attempt may go to another backend; after that the client can
only be told. The client leaving ends the attempt, wherever it is: the backend sees its connection close.
"""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from system.router.asked import Asked
from system.router.backends import Backend
from system.router.counts import tokens_told
from system.router.hedge import Hedge
from system.router.outcomes import (
    FAILURES,
    RETRIED_STATUSES,
    Failure,
    Outcome,
    failure_to_connect,
    is_repeatable,
    retry_after,
)
from system.router.refusals import BROKEN_STREAM, NO_BACKEND, QUEUE_FULL, QUEUE_TIMEOUT, Refusal
from system.router.table import Group
from system.router.upstream import Connection, Head, Pool

if TYPE_CHECKING:
    from system.router.front import Front
    from system.router.proxy import Proxy
    from system.router.request import Request

_OK = Outcome.OK  # looking it up in the Enum is slow


class Exchange:
    """A request on its way."""

    backend: Backend | None = None
    started = False  # something was sent to the client
    streamed = False
    waiting = False  # for a backend to have room
    waited = 0.0  # since when
    status = 0
    first_byte = 0.0
    _ticket = 0  # of the backend's breaker
    _connection: Connection | None = None
    _connecting: asyncio.Task[None] | None = None
    _hedge: Hedge | None = None
    _chunked = False
    _paused = False
    _forgiven = False
    _last = b""  # what came last: whether an event is open, how many tokens were used
    _before = b""  # and what came before it

    def __init__(
        self, proxy: "Proxy", front: "Front", request: "Request", asked: Asked, group: Group
    ) -> None:
        self.proxy = proxy
        self.front = front
        self.request = request
        self.asked = asked
        self.group = group
        self.closing = request.closing
        self.began = self.last_heard = proxy.clock()
        self.tried: list[Backend] = []
        self._out: list[bytes] = []

    # towards the backend

    def attempt(self) -> None:
        """Send the request to a backend that was not tried yet, wait for room, or say that there is none."""
        if self.tried:
            self.last_heard = self.proxy.clock()
            self.group = self.proxy.table.groups.get(self.asked.model, self.group)
        usable = self.untried() if self.tried else self.group.usable
        if not usable:
            self._refuse(NO_BACKEND.saying(model=self.asked.model[:200]), Outcome.REFUSED)
            return
        if self.proxy.limited:
            most = self.proxy.settings.outstanding
            usable = [backend for backend in usable if backend.outstanding < most]
            if not usable:
                self._wait()
                return
        self._use(self.group.policy.pick(usable, self.asked))

    def untried(self) -> list[Backend]:
        usable = self.group.usable
        return [backend for backend in usable if backend not in self.tried] if self.tried else usable

    def _use(self, backend: Backend) -> None:
        self.backend = backend
        self.tried.append(backend)
        if not backend.outstanding:
            backend.heard_at = self.last_heard  # until now it owed nothing
        self._ticket = self.proxy.sent(backend)
        pool = self.proxy.pool(backend)
        connection = pool.take()
        if connection is None:
            self._connecting = asyncio.ensure_future(self._connect(pool))
        else:
            self._send(connection)
        if self.proxy.settings.hedge_after and self._hedge is None and self._may_be_hedged():
            self._hedge = Hedge(self, self.proxy.settings.hedge_after)

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
        connection.request(
            self,
            self.request.wire(self.backend.host_line + self.proxy.settings.peer_headers),
            self.request.body,
            head_only=self.request.method == b"HEAD",
        )

    def _wait(self) -> None:
        if not self.group.waiting.join(self, self.proxy.settings.queue):
            self._refuse(QUEUE_FULL.saying(model=self.asked.model[:200]), Outcome.REFUSED)
            return
        self.waiting = True
        self.waited = self.waited or self.proxy.clock()

    def go_on(self) -> None:
        """There may be room now."""
        self.waiting = False
        self.attempt()

    # from the backend: upstream.Sink

    def head(self, head: Head) -> None:
        assert self.backend is not None
        if head.status in (429, 503) and head.retry_after:
            self.proxy.rest(self.backend, retry_after(head.retry_after, datetime.now(UTC)))
        if head.status in RETRIED_STATUSES and self._may_repeat(sent=True, free=False):
            self._repeat(Outcome.of_status(head.status), f"status {head.status}")
            return
        self.status = head.status
        self.started = True
        if head.streamed:
            self.streamed, self.first_byte = True, self.proxy.clock()
        self._chunked = head.endless
        if self._chunked and self.request.http10:  # which knows no chunks: the connection's end says it
            self._chunked, self.closing = False, True
        self.closing = self.closing or self.proxy.draining
        start = self.front.head(head.status, self.request, closing=self.closing)
        end = b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n"
        self._out += (start, *head.lines, self.backend.head, end)

    def body(self, data: bytes) -> None:
        self._before, self._last = self._last, data
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    @property
    def tokens(self) -> int:
        """The completion tokens of the whole answer, as far as it tells."""
        return tokens_told(self._last) or (tokens_told(self._before) if self.streamed else 0)

    def flush(self) -> None:
        if self._out:
            self.last_heard = now = self.proxy.clock()
            if self.backend is not None:
                self.backend.heard_at = now
            self.front.write(b"".join(self._out))
            self._out = []

    def done(self) -> None:
        self._connection = None
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self.front.write(b"".join(self._out))
        self._out = []
        self._end(_OK if self.status < 429 else Outcome.of_status(self.status))

    def failed(self, failure: Failure, why: str) -> None:
        assert self.backend is not None
        backend, connection, self._connection = self.backend, self._connection, None
        told = FAILURES[failure]
        if self.started:
            self.proxy.failed(backend, failure, why)
            self._break_off(backend)
            self._end(told.outcome)
            return
        stale = failure is Failure.BROKE and connection is not None and connection.used > 1
        outcome = Outcome.STALE if stale else told.outcome
        if stale:
            self._forgive(backend)  # it was idle for a while, and may have been closed as we sent
        else:
            self.proxy.failed(backend, failure, why)
        if self._hedge is not None and self._hedge.under_way:
            self._release(outcome)
        elif self._may_repeat(sent=told.sent, free=failure is not Failure.SILENT):
            self._repeat(outcome, failure.value)
        else:
            self._refuse(told.refusal.saying(backend=backend.name, phase=why), outcome)

    def _forgive(self, backend: Backend) -> None:
        """An old connection says nothing about the backend: a new one to it will, once."""
        self.proxy.pool(backend).drop_idle()
        if not self._forgiven:
            self._forgiven = True
            self.tried.remove(backend)

    def _may_repeat(self, *, sent: bool, free: bool) -> bool:
        """Whether another attempt is safe, possible and paid for.

        The first one after a broken or refused connection costs nothing: what it repeats was not done.
        """
        if sent and not is_repeatable(self.request.method, self.request.path):
            return False
        if not self.untried():
            return False
        return not sent or (free and len(self.tried) <= 1) or self.proxy.may_retry()

    def _repeat(self, outcome: Outcome, cause: str) -> None:
        self._stop()
        self._release(outcome)
        self.proxy.totals.retries[cause] += 1
        self.attempt()

    def _break_off(self, backend: Backend) -> None:
        """The answer cannot be completed: a stream says so in an event, anything else ends short."""
        self.flush()
        self.closing = True
        if not self.streamed or not self._chunked:
            self.front.abort()
            return
        event = BROKEN_STREAM.saying(backend=backend.name).event
        if not self._last.endswith((b"\n\n", b"\r\n\r\n")):
            event = b"\n\n" + event
        self.front.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))

    def take_over(self, backend: Backend, ticket: int, connection: Connection) -> None:
        """A hedge was faster: its answer is the answer."""
        self._stop()
        self._release(Outcome.CANCELLED)
        self._hedge = None
        self.backend, self._ticket, self._connection = backend, ticket, connection
        connection.sink = self
        if self._paused:
            connection.pause()

    def hedge_failed(self, outcome: Outcome, refusal: Refusal) -> None:
        """A hedge came to nothing; where it was the last hope, that is the answer."""
        self._hedge = None
        if self.backend is None:
            self._refuse(refusal, outcome)

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
        """Called now and then: give up what takes too long."""
        if self.waiting:
            seconds = self.proxy.settings.queue_wait
            if now - self.waited > seconds:
                refusal = QUEUE_TIMEOUT.saying(model=self.asked.model[:200], seconds=seconds)
                self._refuse(refusal, Outcome.REFUSED)
            return
        if self._paused or self._connection is None:
            return
        age, silence = now - self.began, now - self.last_heard
        late = self.proxy.timeouts.exceeded(age=age, silence=silence, started=self.started)
        if late:
            self._give_up(late)

    def _may_be_hedged(self) -> bool:
        """Whether asking somebody else as well is safe, and there is somebody."""
        under_way = self._connection is not None or self._connecting is not None
        repeatable = is_repeatable(self.request.method, self.request.path)
        return under_way and not self.started and repeatable and bool(self.untried())

    def hedge(self) -> None:
        """Its backend seems frozen: ask another as well, at once."""
        if self._hedge is not None:
            self._hedge.hurry()
        elif self._may_be_hedged():
            self._hedge = Hedge(self, 0.0)

    def reroute(self, why: str) -> None:
        """Its backend is frozen: give it up where somebody else has been asked, or may be.

        Where the budget allows no repeating it goes on waiting: what is frozen may thaw.
        """
        hedged = self._hedge is not None and self._hedge.under_way
        if hedged or (self._may_be_hedged() and self.proxy.may_retry()):
            assert self.backend is not None
            self.proxy.failed(self.backend, Failure.SILENT, why)
            if hedged:
                self._stop()
                self._release(Outcome.TIMEOUT)
            else:
                self._repeat(Outcome.TIMEOUT, Failure.SILENT.value)

    def _give_up(self, why: str) -> None:
        self._stop()
        self.failed(Failure.SILENT, why)

    # the end

    def _refuse(self, refusal: Refusal, outcome: Outcome) -> None:
        self.status = refusal.status
        self.closing = self.closing or self.proxy.draining
        self.front.refuse(refusal, self.request)
        self._end(outcome)

    def _release(self, outcome: Outcome) -> None:
        """Account for the attempt that has ended."""
        backend, self.backend = self.backend, None
        if backend is not None:
            self.proxy.account(self, backend, self._ticket, outcome)

    def _end(self, outcome: Outcome) -> None:
        if self.waiting:
            self.waiting = False
            self.group.waiting.leave(self)
        if self._hedge is not None:
            self._hedge.cancel()
            self._hedge = None
        self._release(outcome)
        self.proxy.ended(self, outcome)
        self.front.exchanged(self)
