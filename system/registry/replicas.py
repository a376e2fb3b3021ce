"""The `/register` dialect: a replica's connection is its lease; clients ask for any that can do something."""

import contextlib
import time
from typing import Any

from system.asgi import Receive, Scope, Send
from system.leases import Lease, LeaseError
from system.registry.bodies import Heartbeat, ReplicaBody
from system.registry.choices import CHOICES
from system.registry.context import Context
from system.registry.entries import Entry, TooMuch, replica_entry
from system.registry.heartbeats import read_heartbeat
from system.registry.http import Answer, Refused, Request, Routes, Statuses, Streamed, answer
from system.registry.matching import matches, parse
from system.registry.peers import SILENT
from system.registry.streams import ALIVE, MEDIA, Stream, event
from system.registry.views import as_replica, as_replica_with_state, stamp

EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
]
STATUSES = Statuses(malformed=422, wrong_media=422)
NO_MATCH = answer(404, {"detail": "no matching replica"})
CHOICE = b"x-muster-choice"


class Replicas:
    """The handlers of the dialect."""

    def __init__(self, context: Context, choice: str) -> None:
        self._context = context
        self._live = context.live
        self._table = context.live.table
        self._choice = choice

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/route", self.route, headers={CHOICE.decode(): tuple(CHOICES)})
        routes.add("GET", "/registry", self.list)
        routes.add("GET", "/replicas", self.matching)
        routes.add("POST", "/register", self.register, takes=ReplicaBody, media=MEDIA)
        routes.add("DELETE", "/register/{id}", self.unregister, query=("lease_id",))
        routes.add("POST", "/register/{id}/heartbeat", self.renew, takes=Heartbeat)
        routes.add("POST", "/register/{id}/drain", self.drain)
        routes.add("DELETE", "/register/{id}/drain", self.undrain)

    async def route(self, request: Request) -> Answer:
        """Any replica of which one capability meets every query parameter."""
        self._live.now()
        policy = request.header(CHOICE) or self._choice
        if policy not in CHOICES:
            raise Refused(
                400, f"{CHOICE.decode()}: no policy is called {policy!r}; there are {', '.join(CHOICES)}"
            )
        try:
            pool = self._table.index.pool(request.scope["query_string"])
        except ValueError:
            raise Refused(400, "more than 100 conditions") from None
        member = pool.pick(policy, self._live.random)
        if member is None:
            self._context.unmatched += 1
            return NO_MATCH
        self._context.matched += 1
        return Answer(200, member.answer)

    async def list(self, request: Request) -> Answer:
        """Every entry, services too, in the order of registration."""
        self._live.now()
        return answer(200, {"replicas": [as_replica(entry) for entry in self._table.entries.values()]})

    async def matching(self, request: Request) -> Answer:
        """All matches of the query parameters, with their state."""
        now = self._live.now()
        request.query()
        query = parse(request.scope["query_string"])
        found = [
            as_replica_with_state(entry, self._table.leases.held(entry.id), now)
            for entry in self._table.entries.values()
            if not query or matches(entry.offers, query)
        ]
        return answer(200, {"replicas": found})

    async def register(self, request: Request) -> Streamed:
        """Register a replica for as long as this connection stays open: a stream of events."""
        body = await request.model(ReplicaBody, STATUSES)
        now = self._live.now()
        try:
            entry = replica_entry(body, stamp(time.time()), request.caller, request.here)
        except TooMuch as error:
            raise Refused(422, f"capabilities: {error}") from None
        lease = self._context.admit(entry, request.caller, now)
        return Held(self._context, request.scope, lease, _greeting(entry, lease.id))

    async def unregister(self, request: Request) -> Answer:
        """Take a replica out although its connection is open."""
        self._live.now()
        lease_id = request.query().get("lease_id")
        self._table.remove(request.id, "unregistered", lease_id)
        return answer(200, {"status": "unregistered", "replica_id": request.id})

    async def renew(self, request: Request) -> Answer:
        """A sign of life, for replicas that announced a ttl."""
        said = await read_heartbeat(request)
        self._table.heartbeat(request.id, self._live.now(), said.lease_id, said.status)
        self._context.heard(request.id)
        return answer(200, {"status": "alive", "replica_id": request.id})

    async def drain(self, request: Request) -> Answer:
        """List it, but send nobody there any more, until it registers again."""
        return self._drained(request.id, draining=True)

    async def undrain(self, request: Request) -> Answer:
        """Send clients there again."""
        return self._drained(request.id, draining=False)

    def _drained(self, entry_id: str, *, draining: bool) -> Answer:
        self._live.now()
        entry = self._table.drain(entry_id, draining=draining)
        return answer(200, {"status": entry.shown_status, "replica_id": entry_id})


class Held:
    """A lease that lasts as long as its connection, whose end does not touch a newer one."""

    __slots__ = ("_context", "_first", "_lease", "_scope")

    def __init__(self, context: Context, scope: Scope, lease: Lease, first: bytes) -> None:
        self._context = context
        self._scope = scope
        self._lease = lease
        self._first = first

    async def __call__(self, receive: Receive, send: Send) -> None:
        stream = Stream(send)
        self._context.streams.add(self._lease.id, stream)
        try:
            headers = [*EVENTS, (b"x-lease-id", self._lease.id.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await stream.say(self._first)
            while stream.open and (await receive())["type"] != "http.disconnect":
                pass
        finally:
            stream.open = False
            self._context.streams.discard(self._lease.id)
            self._end()

    def _end(self) -> None:
        live = self._context.live
        now = live.now()
        with contextlib.suppress(LeaseError):
            if self._scope.get("state", {}).get(SILENT, False):
                live.table.lose(self._lease.key, self._lease.id, now)
            else:
                live.table.remove(self._lease.key, "disconnected", self._lease.id)
        live.armed()


def _greeting(entry: Entry, lease_id: str) -> bytes:
    """The first two events. Only a peer that announced renewal needs its lease id there."""
    facts: dict[str, Any] = {} if entry.ttl is None else {"lease_id": lease_id, "ttl": entry.ttl}
    if entry.warnings:
        facts["warnings"] = entry.warnings
    return event({"status": "registered", "replica_id": entry.id, **facts}) + ALIVE
