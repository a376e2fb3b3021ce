"""The `/services` dialect: entries that live as long as heartbeats come."""

import contextlib
import time
from typing import Any

from system.leases import NotOwner, Terms, UnknownKey
from system.registry.bodies import Heartbeat, ServiceBody, ServiceChange
from system.registry.context import Context
from system.registry.entries import Entry, TooMuch, changed, service_entry
from system.registry.heartbeats import read_heartbeat
from system.registry.http import Answer, Refused, Request, Routes, Statuses, sorted_answer
from system.registry.probes import Prober
from system.registry.views import as_service, counted, is_healthy, stamp

STATUSES = Statuses(malformed=400, wrong_media=415)


class Services:
    """The handlers of the dialect."""

    def __init__(self, context: Context, prober: Prober) -> None:
        self._context = context
        self._live = context.live
        self._table = context.live.table
        self._prober = prober

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/services", self.list, query=("status", "healthy"))
        routes.add("POST", "/services", self.register, takes=ServiceBody, status=201)
        routes.add("GET", "/services/{id}", self.show)
        routes.add("PUT", "/services/{id}", self.update, takes=ServiceChange)
        routes.add("DELETE", "/services/{id}", self.unregister, query=("lease_id",))
        routes.add("POST", "/services/{id}/heartbeat", self.heartbeat, takes=Heartbeat)
        routes.add("GET", "/services/{id}/health", self.health)
        routes.add("POST", "/services/{id}/drain", self.drain)
        routes.add("DELETE", "/services/{id}/drain", self.undrain)
        routes.add("GET", "/stats", self.stats)

    async def list(self, request: Request) -> Answer:
        """Every entry, replicas too; `status` and `healthy=true|false` filter."""
        now, wall = self._live.now(), time.time()
        wanted = request.query()
        views = [
            view
            for view in (self._view(entry, now, wall) for entry in self._table.entries.values())
            if _is_wanted(view, wanted)
        ]
        return sorted_answer(200, {"services": views, "timestamp": stamp(wall), "total": len(views)})

    async def register(self, request: Request) -> Answer:
        """Register a service, or register it again; the answer carries the lease id of its new owner."""
        body = await request.model(ServiceBody, STATUSES)
        now, wall = self._live.now(), time.time()
        try:
            entry = service_entry(body, stamp(wall), request.caller, request.here)
        except TooMuch as error:
            raise Refused(422, f"metadata: {error}") from None
        lease = self._context.admit(entry, request.caller, now)
        document = {
            "message": f"Service '{entry.id}' registered successfully",
            "service": self._view(entry, now, wall),
            "lease_id": lease.id,
            "warnings": entry.warnings,
        }
        return sorted_answer(201, document)

    async def show(self, request: Request) -> Answer:
        """One entry."""
        now = self._live.now()
        return sorted_answer(200, self._view(self._entry(request.id), now, time.time()))

    async def update(self, request: Request) -> Answer:
        """Replace some of its fields; counts as a sign of life. A lease id of an older owner is refused."""
        self._entry(request.id)
        body = await request.model(ServiceChange, STATUSES)
        now = self._live.now()
        terms = None if body.ttl is None else Terms.ttl(body.ttl)
        entry = self._table.update(request.id, self._changes(request, body), terms, now, body.lease_id)
        self._context.heard(request.id)
        document = {
            "message": f"Service '{entry.id}' updated successfully",
            "service": self._view(entry, now, time.time()),
        }
        return sorted_answer(200, document)

    async def unregister(self, request: Request) -> Answer:
        """Take an entry out. A lease id of an older owner is refused."""
        self._live.now()
        self._table.remove(request.id, "unregistered", request.query().get("lease_id"))
        return sorted_answer(200, {"message": f"Service '{request.id}' unregistered successfully"})

    async def heartbeat(self, request: Request) -> Answer:
        """A sign of life. The body may be left out; it may name a status and the lease id."""
        body = await read_heartbeat(request)
        self._table.heartbeat(request.id, self._live.now(), body.lease_id, body.status)
        self._context.heard(request.id)
        return sorted_answer(200, {"message": "Heartbeat received", "timestamp": stamp(time.time())})

    async def health(self, request: Request) -> Answer:
        """Probe it now; a service that is well is taken to have sent a heartbeat."""
        entry = self._entry(request.id)
        lease_id = self._table.leases.held(request.id).id
        verdict = await self._prober.probe(entry)
        now, wall = self._live.now(), time.time()
        # What was found is about the registration that was probed, not about one that replaced it meanwhile.
        with contextlib.suppress(NotOwner):
            self._table.note_health(request.id, lease_id, verdict)
            if verdict == "healthy" and entry.kind == "service":
                self._table.heartbeat(request.id, now, lease_id)
                self._context.heard(request.id)
        view = self._view(self._entry(request.id), now, wall)
        document = {key: view[key] for key in ("health_status", "is_healthy", "last_heartbeat")}
        return sorted_answer(200, {**document, "service": entry.id, "timestamp": stamp(wall)})

    async def drain(self, request: Request) -> Answer:
        """List it, but send nobody there any more, until it registers again."""
        return self._drained(request, draining=True)

    async def undrain(self, request: Request) -> Answer:
        """Send clients there again."""
        return self._drained(request, draining=False)

    def _drained(self, request: Request, *, draining: bool) -> Answer:
        now = self._live.now()
        entry = self._table.drain(request.id, draining=draining)
        message = f"Service '{entry.id}' is {'draining' if draining else 'no longer draining'}"
        return sorted_answer(200, {"message": message, "service": self._view(entry, now, time.time())})

    async def stats(self, request: Request) -> Answer:
        """How many there are, by status and by host."""
        now, wall = self._live.now(), time.time()
        entries = self._table.entries.values()
        healthy = sum(is_healthy(entry, self._table.leases.held(entry.id), now) for entry in entries)
        document = {
            "total_services": len(entries),
            "healthy_services": healthy,
            "unhealthy_services": len(entries) - healthy,
            "status_distribution": counted(entry.shown_status for entry in entries),
            "host_distribution": counted(entry.host for entry in entries),
            "uptime": round(now - self._live.started, 3),
            "timestamp": stamp(wall),
        }
        return sorted_answer(200, document)

    def _entry(self, entry_id: str) -> Entry:
        self._live.now()
        entry = self._table.entries.get(entry_id)
        if entry is None:
            raise UnknownKey(entry_id)
        return entry

    def _view(self, entry: Entry, now: float, wall: float) -> dict[str, Any]:
        return as_service(entry, self._table.leases.held(entry.id), now, wall)

    def _changes(self, request: Request, body: ServiceChange) -> dict[str, Any]:
        try:
            changes = changed(self._entry(request.id), body, request.caller, request.here)
        except TooMuch as error:
            raise Refused(422, f"metadata: {error}") from None
        if "metadata_json" in changes:
            size = len(changes["metadata_json"]) + len(changes["capabilities_json"])
            self._context.make_room(size, request.id)
        return changes


def _is_wanted(view: dict[str, Any], wanted: dict[str, str]) -> bool:
    if "status" in wanted and view["status"] != wanted["status"]:
        return False
    return "healthy" not in wanted or view["is_healthy"] == (wanted["healthy"].lower() == "true")
