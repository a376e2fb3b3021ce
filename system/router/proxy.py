"""The router's state while it runs: backends, connections, clients, exchanges; where requests go."""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable

from system.breaker import CLOSED, SUCCESS, Snapshot, State
from system.router.backends import Backend
from system.router.budget import RetryBudget
from system.router.callers import Callers
from system.router.counts import Totals
from system.router.entries import Entry
from system.router.exchange import Exchange
from system.router.familiar import Familiar
from system.router.front import Front
from system.router.gate import Gate
from system.router.headers import REQUEST_HEADERS, keep_authorization, read_session
from system.router.outcomes import FAILURES, Failure, Outcome
from system.router.refusals import (
    Refusal,
)
from system.router.request import Page, Request
from system.router.rules import Settings
from system.router.table import Changes, Table
from system.router.upstream import Head, Pool

log = logging.getLogger("router")

LAST_WORDS = 0.5  # seconds in which a client may read the end of its answer when the router leaves
TICK = 0.25  # seconds between looks at what takes too long


class Proxy:
    """Everything a connection needs to know."""

    def __init__(
        self,
        table: Table,
        *,
        settings: Settings,
        callers: Callers | None = None,
        access_log: Callable[[Exchange, Outcome], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table = table
        self.settings = settings
        self.limited = bool(settings.outstanding)
        self.limits = settings.limits
        self.timeouts = settings.timeouts
        self.clock = clock
        self.totals = Totals()
        self.readers = {settings.session_header.lower().encode(): read_session, **REQUEST_HEADERS}
        self.fronts: set[Front] = set()
        if callers is not None:
            self.readers[b"authorization"] = keep_authorization
        self.budget = RetryBudget(share=settings.retry_share)
        self.exchanges: set[Exchange] = set()
        self.familiar: Familiar[Request] = Familiar()
        self._answers: Familiar[Head] = Familiar()
        self.draining = False
        self.found_down: Callable[[Backend], None] | None = None  # told when a backend is not there
        self.tell: Callable[[Backend, str], None] | None = None  # the other processes, what was found out
        self.loop_lag = 0.0  # seconds by which a timer was late, at most lately
        self._pools: dict[Backend, Pool] = {}
        self.callers = callers
        self.gate = Gate(table, callers, clock, everything=settings.everything)
        self.admits = self.gate.admits
        self._access_log = access_log
        self._ids = itertools.count(1)
        self._id_start = b"req-" + os.urandom(6).hex().encode() + b"-"

    def add_pages(self, pages: dict[bytes, Page]) -> None:
        self.gate.pages.update(pages)

    # requests

    def new_id(self) -> bytes:
        return b"%b%x" % (self._id_start, next(self._ids))

    def begin(self, front: Front, request: Request) -> Exchange | None:
        """Answer a request from here, or return the exchange that will."""
        if not request.id:
            request.id = self.new_id()
        if request.refusal is not None:
            front.refuse(request.refusal, request)
            return None
        if request.page is not None:
            request.page(front, request)
            return None
        found = self.gate.backends_for(request)
        if isinstance(found, Refusal):
            front.refuse(found, request)
            return None
        exchange = Exchange(self, front, request, *found)
        self.exchanges.add(exchange)
        self.totals.requests += 1
        return exchange

    def sent(self, backend: Backend) -> int:
        """A request goes to a backend; returns the ticket that `account` wants back."""
        backend.outstanding += 1
        backend.sent += 1
        breaker = backend.breaker
        if breaker.state is CLOSED:
            return breaker.version
        now = self.clock()
        ticket = breaker.begin(now)
        self.table.heed_breaker(backend, now)
        return ticket

    def account(self, exchange: Exchange, backend: Backend, ticket: int, outcome: Outcome) -> None:
        """Record how one attempt at a backend ended."""
        now = self.clock()
        if outcome.verdict is SUCCESS:
            backend.heard_at = now
        backend.outstanding -= 1
        breaker = backend.breaker
        before = breaker.state
        if breaker.record(ticket, outcome.verdict, now):
            log.warning("breaker of %s: %s, was %s", backend.name, breaker.state.value, before.value)
            self.totals.transitions[backend.name, breaker.state.value] += 1
            self._tell(backend, "breaker")
        if before is not CLOSED or breaker.state is not CLOSED:
            self.table.heed_breaker(backend, now)
        if self.limited:
            self._make_room(backend)
        model = exchange.asked.model
        series = backend.series.get(model) or backend.series_of(model)
        series.outcomes[outcome] += 1
        series.tokens += exchange.tokens
        series.durations.observe(now - exchange.began)
        if exchange.streamed:
            series.first_bytes.observe(exchange.first_byte - exchange.began)

    def _make_room(self, backend: Backend) -> None:
        """Somebody who waits may go on."""
        for model in backend.entry.models:
            group = self.table.groups.get(model)
            if group is None or backend not in group.usable:
                continue
            waiting = group.waiting.next()
            if waiting is not None:
                asyncio.get_running_loop().call_soon(_go_on, waiting)
                return

    def may_retry(self) -> bool:
        """Whether the budget allows a request to be sent once more."""
        return self.budget.take(self.totals.requests, self.clock())

    def rest(self, backend: Backend, seconds: float) -> None:
        """A backend asked to be left alone for a while."""
        now = self.clock()
        backend.breaker.rest(now + seconds)
        self.table.heed_breaker(backend, now)
        self._tell(backend, "breaker")

    def ended(self, exchange: Exchange, outcome: Outcome) -> None:
        self.exchanges.discard(exchange)
        if exchange.request.spool is not None:
            exchange.request.close()
        if self._access_log is not None:
            self._access_log(exchange, outcome)

    # backends

    def pool(self, backend: Backend) -> Pool:
        pool = self._pools.get(backend)
        if pool is None:
            pool = self._new_pool(backend.entry)
            if self.table.backends.get(backend.name) is backend:
                self._pools[backend] = pool
            else:
                pool.close()  # it left meanwhile: what is on its way may finish, nothing is kept
        return pool

    def _new_pool(self, entry: Entry) -> Pool:
        return Pool(
            entry.host,
            entry.port,
            tls=self.settings.tls() if entry.scheme == "https" else None,
            clock=self.clock,
            connect_timeout=self.timeouts.connect,
            idle_timeout=self.settings.idle_timeout,
            familiar=self._answers,
        )

    def changed(self, changes: Changes) -> None:
        """Follow what a source of backends said."""
        for backend in changes.added:
            log.info("using %s at %s for %s", backend.name, backend.entry.url, _listed(backend))
        for backend in changes.revived:
            log.info("using %s again: it registered anew", backend.name)
        for backend in changes.removed:
            log.info("leaving %s at %s: it is not registered any more", backend.name, backend.entry.url)
            for state in State:
                self.totals.transitions.pop((backend.name, state.value), None)
            pool = self._pools.pop(backend, None)
            if pool is not None:
                pool.close()

    def failed(self, backend: Backend, failure: Failure, why: str) -> None:
        """An attempt failed on the wire: leave the backend if it is not there."""
        backend.failed += 1
        if FAILURES[failure].gone and self.table.mark_down(backend, f"{failure.value}: {why}", self.clock()):
            log.warning("leaving %s at %s: %s (%s)", backend.name, backend.entry.url, failure.value, why)
            self.pool(backend).drop_idle()
            self._ask_often(backend)
            self._tell(backend, "down")

    def suspect(self, backend: Backend, why: str) -> None:
        """A backend seems frozen: requests that wait for it, and may, are sent to another as well."""
        if self.table.mark_silent(backend, why):
            log.warning("avoiding %s at %s while there is another: %s", backend.name, backend.entry.url, why)
            self._ask_often(backend)
            self._tell(backend, "silent")
        for exchange in list(self.exchanges):
            if exchange.backend is backend:
                exchange.hedge()

    def silent(self, backend: Backend, why: str) -> None:
        """A backend does not answer probes: requests that wait for it, and may, go elsewhere."""
        if self.table.mark_silent(backend, why):
            log.warning("leaving %s at %s while there is another: %s", backend.name, backend.entry.url, why)
            self._tell(backend, "silent")
        for exchange in list(self.exchanges):
            if exchange.backend is backend:
                exchange.reroute(why)

    def lives(self, backend: Backend, why: str) -> None:
        if self.table.mark_up(backend):
            log.info("using %s at %s again: %s", backend.name, backend.entry.url, why)
            self._tell(backend, "up")

    def _ask_often(self, backend: Backend) -> None:
        if self.found_down is not None:
            self.found_down(backend)

    # what other processes of this router have found out

    def _tell(self, backend: Backend, what: str) -> None:
        if self.tell is not None:
            self.tell(backend, what)

    def heard_down(self, backend: Backend, reason: str) -> None:
        if self.table.mark_down(backend, reason, self.clock()):
            self.pool(backend).drop_idle()
            self._ask_often(backend)

    def heard_silent(self, backend: Backend, reason: str) -> None:
        if self.table.mark_silent(backend, reason):
            self._ask_often(backend)

    def heard_up(self, backend: Backend, _: str) -> None:
        self.table.mark_up(backend)

    def heard_breaker(self, backend: Backend, snapshot: Snapshot, rests_until: float) -> None:
        now = self.clock()
        backend.breaker.adopt(snapshot, now)
        backend.breaker.rest(rests_until)
        self.table.heed_breaker(backend, now)

    # time

    async def watch_time(self) -> None:
        """End what takes too long, for as long as the router runs."""
        for tick in itertools.count(1):
            due = self.clock() + TICK
            await asyncio.sleep(TICK)
            now = self.clock()
            self.loop_lag = max(now - due, self.loop_lag * 0.9)
            for exchange in list(self.exchanges):
                exchange.check(now)
            self._let_time_pass(now)
            if tick % 4 == 0:
                for front in list(self.fronts):
                    front.check(now)
                for pool in self._pools.values():
                    pool.close_idle(now)

    def _let_time_pass(self, now: float) -> None:
        """Breakers open and rests end with time; and whoever waits may find room that nobody announced."""
        for backend in self.table.backends.values():
            if backend.blocked and self.table.heed_breaker(backend, now):
                log.info("breaker of %s: %s", backend.name, backend.breaker.state.value)
        if self.settings.outstanding:
            for group in list(self.table.groups.values()):
                if group.waiting and any(one.outstanding < self.settings.outstanding for one in group.usable):
                    _go_on(group.waiting.next())

    async def drain(self, seconds: float) -> None:
        """Let what is on its way finish; then close every connection, of clients that do not read as well."""
        self.draining = True
        await self._while(lambda: self.exchanges, seconds)
        for front in list(self.fronts):
            front.abort() if front.busy else front.leave()
        await self._while(lambda: self.fronts, LAST_WORDS)
        for front in list(self.fronts):
            front.abort()
        for pool in self._pools.values():
            pool.close()

    async def _while(self, some: Callable[[], object], seconds: float) -> None:
        """Wait until there are none, but not for longer; an event would cost every request."""
        deadline = self.clock() + seconds
        while some() and self.clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _go_on(exchange: Exchange | None) -> None:
    if exchange is not None and exchange.waiting:
        exchange.go_on()


def _listed(backend: Backend) -> str:
    return ", ".join(backend.entry.models) or "no model"
