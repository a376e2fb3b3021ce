"""A second attempt beside a slow first one; whichever answers first is passed on, the other is cancelled."""

import asyncio
from typing import TYPE_CHECKING

from system.router.backends import Backend
from system.router.outcomes import FAILURES, Failure, Outcome, failure_to_connect
from system.router.refusals import Refusal
from system.router.upstream import Connection, Head, Pool

if TYPE_CHECKING:
    from system.router.exchange import Exchange


class Hedge:
    """Made when the first attempt has not answered after so many seconds. An upstream.Sink."""

    def __init__(self, exchange: "Exchange", after: float) -> None:
        self._exchange: Exchange | None = exchange
        self._backend: Backend | None = None
        self._ticket = 0
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(after, self._begin)

    def hurry(self) -> None:
        """Ask the other one now, unless that was done."""
        if self._backend is None:
            self._timer.cancel()
            self._begin()

    @property
    def under_way(self) -> bool:
        return self._backend is not None

    def cancel(self) -> None:
        """The answer has come from elsewhere, or nobody wants it any more."""
        self._timer.cancel()
        self._release(Outcome.CANCELLED)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.abandon()
        self._exchange = self._connection = self._connecting = None

    def _begin(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.started or exchange.backend is None:
            return
        usable = exchange.untried()
        proxy = exchange.proxy
        if not usable or not proxy.may_retry():
            return
        self._backend = backend = exchange.group.policy.pick(usable, exchange.asked)
        exchange.tried.append(backend)
        proxy.totals.retries["hedge"] += 1
        self._ticket = proxy.sent(backend)
        pool = proxy.pool(backend)
        connection = pool.take()
        if connection is None:
            self._connecting = asyncio.ensure_future(self._connect(pool))
        else:
            self._send(connection)

    async def _connect(self, pool: Pool) -> None:
        try:
            connection = await pool.connect()
        except OSError as error:
            self._connecting = None
            self.failed(failure_to_connect(error), error.strerror or str(error))
        else:
            self._connecting = None
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        assert self._exchange is not None
        assert self._backend is not None
        self._connection = connection
        request, settings = self._exchange.request, self._exchange.proxy.settings
        head = request.wire(self._backend.host_line + settings.peer_headers)
        connection.request(self, head, request.body)

    def _release(self, outcome: Outcome) -> None:
        backend, self._backend = self._backend, None
        if backend is not None and self._exchange is not None:
            self._exchange.proxy.account(self._exchange, backend, self._ticket, outcome)

    # upstream.Sink

    def head(self, head: Head) -> None:
        exchange, backend, connection = self._exchange, self._backend, self._connection
        assert exchange is not None
        assert backend is not None
        assert connection is not None
        self._backend = self._exchange = self._connection = None
        exchange.take_over(backend, self._ticket, connection)
        exchange.head(head)

    def body(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    def done(self) -> None: ...

    def failed(self, failure: Failure, why: str) -> None:
        exchange, backend = self._exchange, self._backend
        assert exchange is not None
        assert backend is not None
        told = FAILURES[failure]
        self._connection = None
        exchange.proxy.failed(backend, failure, why)
        self._release(told.outcome)
        refusal: Refusal = told.refusal.saying(backend=backend.name, phase=why)
        exchange.hedge_failed(told.outcome, refusal)
