"""The router's state while it runs: backends, connections, clients, exchanges; where requests go."""

import asyncio
import itertools
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace

from system.breaker import CLOSED, Snapshot
from system.router.asked import read_asked, read_asked_of
from system.router.backends import Backend
from system.router.budget import RetryBudget
from system.router.callers import Caller, Callers
from system.router.counts import Totals
from system.router.entries import Entry
from system.router.exchange import Exchange
from system.router.front import Front
from system.router.headers import REQUEST_HEADERS, keep_authorization, read_session
from system.router.outcomes import FAILURES, Failure, Outcome
from system.router.refusals import (
    MODEL_NOT_ALLOWED,
    NO_BACKEND,
    NO_TOKEN,
    RATE_EXCEEDED,
    UNKNOWN_MODEL,
    UNKNOWN_PATH,
    WRONG_METHOD,
    Refusal,
)
from system.router.request import Page, Request
from system.router.rules import Settings
from system.router.table import Changes, Table
from system.router.upstream import Pool

log = logging.getLogger("router")

# What is proxied without /v1 before it; below /v1 everything that is no page of the router's own is.
SHORT_PATHS = frozenset(
    {
        b"/chat/completions",
        b"/completions",
        b"/embeddings",
        b"/responses",
        b"/rerank",
        b"/score",
        b"/moderations",
        b"/tokenize",
        b"/detokenize",
    }
)


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
        self.draining = False
        self.found_down: Callable[[Backend], None] | None = None  # told when a backend is not there
        self._proxied = SHORT_PATHS | {b"/v1" + path for path in SHORT_PATHS}
        self.tell: Callable[[Backend, str], None] | None = None  # the other processes, what was found out
        self.loop_lag = 0.0  # seconds by which a timer was late, at most lately
        self._pages: dict[bytes, Page] = {}
        self._pools: dict[Backend, Pool] = {}
        self.callers = callers
        self._access_log = access_log
        self._ids = itertools.count(1)
        self._id_start = b"req-" + os.urandom(6).hex().encode() + b"-"

    def add_pages(self, pages: dict[bytes, Page]) -> None:
        self._pages.update(pages)

    # requests

    def new_id(self) -> bytes:
        return b"%b%x" % (self._id_start, next(self._ids))

    def admits(self, request: Request) -> Refusal | None:
        """Whether there is something at this path for this client; decided before the body is read."""
        path, method = request.path, request.method
        if method == b"POST" and (path in self._proxied or self._is_proxied(path)):
            pass
        else:
            page = self._page(path)
            if page is None or method not in (b"GET", b"HEAD"):
                return self._nowhere(method, path, page)
            request.page = page
        if self.callers is not None and path not in OPEN_PATHS:
            request.caller = self.callers.find(request.authorization)
            return NO_TOKEN if request.caller is None else None
        return None

    def _is_proxied(self, path: bytes) -> bool:
        return path.startswith(b"/v1/") and self._page(path) is None

    def _nowhere(self, method: bytes, path: bytes, page: Page | None) -> Refusal:
        if page is not None:
            return _wrong_method(method, path, "GET")
        if self._is_proxied(path) or path in self._proxied:
            return _wrong_method(method, path, "POST")
        return UNKNOWN_PATH.saying(method=_text(method), path=_text(path))

    def _page(self, path: bytes) -> Page | None:
        page = self._pages.get(path)
        if page is None and path.startswith(b"/v1/models/"):
            page = self._pages[b"/v1/models/"]
        return page

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
        body = request.body
        if isinstance(body, bytes):
            asked = read_asked(body, request.session)
        else:
            asked = read_asked_of(body, request.session)
        if isinstance(asked, Refusal):
            front.refuse(asked, request)
            return None
        refused = request.caller and self._refuses(request.caller, asked.model)
        if refused:
            front.refuse(refused, request)
            return None
        group = self.table.groups.get(asked.model)
        if group is None:
            refusal = NO_BACKEND if self.table.knows(asked.model) else UNKNOWN_MODEL
            front.refuse(refusal.saying(model=asked.model[:200]), request)
            return None
        exchange = Exchange(self, front, request, asked, group)
        self.exchanges.add(exchange)
        self.totals.requests += 1
        return exchange

    def _refuses(self, caller: Caller, model: str) -> Refusal | None:
        if not caller.may_use(model):
            return MODEL_NOT_ALLOWED.saying(model=model[:200])
        seconds = math.ceil(caller.wait(self.clock()))
        if not seconds:
            return None
        return replace(RATE_EXCEEDED.saying(seconds=seconds), headers=((b"retry-after", b"%d" % seconds),))

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
        backend.outstanding -= 1
        breaker = backend.breaker
        before = breaker.state
        if breaker.record(ticket, outcome.verdict, now):
            log.warning("breaker of %s: %s, was %s", backend.name, breaker.state.value, before.value)
            self.totals.transitions[backend.name, breaker.state.value] += 1
            self._tell(backend, "breaker")
        if before is not CLOSED or breaker.state is not CLOSED:
            self.table.heed_breaker(backend, now)
        if self.settings.outstanding:
            self._make_room(backend)
        model = exchange.asked.model
        series = backend.series.get(model) or backend.series_of(model)
        series.outcomes[outcome] += 1
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
        )

    def changed(self, changes: Changes) -> None:
        """Follow what a source of backends said."""
        for backend in changes.added:
            log.info("using %s at %s for %s", backend.name, backend.entry.url, _listed(backend))
        for backend in changes.revived:
            log.info("using %s again: it registered anew", backend.name)
        for backend in changes.removed:
            log.info("leaving %s at %s: it is not registered any more", backend.name, backend.entry.url)
            pool = self._pools.pop(backend, None)
            if pool is not None:
                pool.close()

    def failed(self, backend: Backend, failure: Failure, why: str) -> None:
        """An attempt failed on the wire: leave the backend if it is not there."""
        backend.failed += 1
        if FAILURES[failure].gone and self.table.mark_down(backend, f"{failure.value}: {why}", self.clock()):
            log.warning("leaving %s at %s: %s (%s)", backend.name, backend.entry.url, failure.value, why)
            self.pool(backend).drop_idle()
            if self.found_down is not None:
                self.found_down(backend)
            self._tell(backend, "down")

    def silent(self, backend: Backend, why: str) -> None:
        """A backend does not answer probes: requests that wait for it, and may, go elsewhere."""
        if self.table.mark_silent(backend, why):
            log.warning("leaving %s at %s while there is another: %s", backend.name, backend.entry.url, why)
        for exchange in list(self.exchanges):
            if exchange.backend is backend:
                exchange.reroute(why)

    def lives(self, backend: Backend, why: str) -> None:
        if self.table.mark_up(backend):
            log.info("using %s at %s again: %s", backend.name, backend.entry.url, why)
            self._tell(backend, "up")

    # what other processes of this router have found out

    def _tell(self, backend: Backend, what: str) -> None:
        if self.tell is not None:
            self.tell(backend, what)

    def heard_down(self, backend: Backend, reason: str) -> None:
        if self.table.mark_down(backend, reason, self.clock()):
            self.pool(backend).drop_idle()
            if self.found_down is not None:
                self.found_down(backend)

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
        """Let what is on its way finish; then close every connection."""
        self.draining = True
        deadline = self.clock() + seconds
        while self.exchanges and self.clock() < deadline:  # noqa: ASYNC110 - an event would cost every exchange
            await asyncio.sleep(0.02)
        for front in list(self.fronts):
            front.abort() if front.busy else front.leave()
        for pool in self._pools.values():
            pool.close()


OPEN_PATHS = frozenset({b"/health", b"/status", b"/ready"})  # probes carry no token


def _go_on(exchange: Exchange | None) -> None:
    if exchange is not None and exchange.waiting:
        exchange.go_on()


def _wrong_method(method: bytes, path: bytes, allowed: str) -> Refusal:
    words = WRONG_METHOD.saying(method=_text(method), path=_text(path), allowed=allowed)
    return Refusal(
        status=words.status, message=words.message, code=words.code, headers=((b"allow", allowed.encode()),)
    )


def _text(raw: bytes) -> str:
    return raw[:200].decode("ascii", "replace")


def _listed(backend: Backend) -> str:
    return ", ".join(backend.entry.models) or "no model"
