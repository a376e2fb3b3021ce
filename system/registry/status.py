"""What probes and scrapers ask: `/health` for the clients of both dialects, `/ready`, `/metrics`."""

import time
from typing import Any

from system.metrics import CONTENT_TYPE, Metric, exposition, single
from system.registry.context import Context
from system.registry.http import Answer, Request, Routes, answer, sorted_answer
from system.registry.probes import Prober
from system.registry.views import counted, is_healthy, stamp


class Status:
    """The handlers."""

    def __init__(self, context: Context, prober: Prober) -> None:
        self._prober = prober
        self._context = context
        self._live = context.live
        self._table = context.live.table

    def add_to(self, routes: Routes) -> None:
        routes.add("GET", "/health", self.health)
        routes.add("GET", "/ready", self.ready)
        routes.add("GET", "/metrics", self.metrics, media="text/plain")

    async def health(self, request: Request) -> Answer:
        """Whether the registry works, in the words of both dialects."""
        document: dict[str, Any] = {
            "status": "healthy",
            "registry": "running",
            "registered_services": len(self._table.entries),
            "healthy_services": self._healthy(),
            "timestamp": stamp(time.time()),
        }
        if self._context.store_connected is not None:
            document["store"] = self._store()
        return sorted_answer(200, document)

    def _store(self) -> dict[str, Any]:
        connected = bool(self._context.store_connected)
        says = "shared" if connected else "not there: serving what is known, and looking for it"
        return {"connected": connected, "unsaid": self._context.unsaid, "state": says}

    async def ready(self, request: Request) -> Answer:
        """Whether it takes requests: 503 while it drains."""
        if self._context.draining:
            return answer(503, {"status": "draining"})
        return answer(200, {"status": "ready"})

    async def metrics(self, request: Request) -> Answer:
        """For Prometheus."""
        return Answer(200, exposition(self._metrics()), CONTENT_TYPE)

    def _healthy(self) -> int:
        now = self._live.now()
        return sum(
            is_healthy(entry, self._table.leases.held(entry.id), now)
            for entry in self._table.entries.values()
        )

    def _metrics(self) -> list[Metric]:
        statuses = counted(entry.shown_status for entry in self._table.entries.values())
        changes = self._context.changes
        peers = self._context.peers
        uptime = self._live.now() - self._live.started
        return [
            single("registry_entries", "gauge", "Entries in the table.", len(self._table.entries)),
            single("registry_entries_healthy", "gauge", "Entries that are healthy.", self._healthy()),
            Metric(
                "registry_entries_by_status",
                "gauge",
                "Entries by status.",
                {(("status", status),): number for status, number in statuses.items()},
            ),
            Metric(
                "registry_changes_total",
                "counter",
                "Changes of the table by reason.",
                {(("reason", reason),): number for reason, number in changes.items()},
            ),
            single(
                "registry_suspects", "gauge", "Silent, and served all the same.", len(self._table.silence)
            ),
            single(
                "registry_store_connected",
                "gauge",
                "1 unless it is away.",
                self._context.store_connected is not False,
            ),
            single("registry_store_unsaid", "gauge", "Entries not yet told to others.", self._context.unsaid),
            Metric("registry_routes_total", "counter", "Answers to GET /route.", self._routes()),
            single("registry_kept_bytes", "gauge", "Of metadata and capabilities.", self._context.kept),
            single("registry_probes_running", "gauge", "Probes under way.", self._prober.running),
            single("registry_connected_replicas", "gauge", "Open registrations.", len(self._context.streams)),
            single("registry_connections", "gauge", "Open connections.", peers.open),
            single("registry_watchers", "gauge", "Open watches.", len(self._context.watchers)),
            single("registry_watchers_cut_off_total", "counter", "Too slow.", self._context.cut_off),
            single("registry_refused_connections_total", "counter", "Over --max-connections.", peers.refused),
            single("registry_slow_connections_total", "counter", "Closed unfinished.", peers.slow),
            single("registry_revision", "counter", "The table's revision.", self._context.journal.revision),
            single("registry_uptime_seconds", "gauge", "Time since start.", uptime),
        ]

    def _routes(self) -> dict[tuple[tuple[str, str], ...], float]:
        context = self._context
        return {(("result", "replica"),): context.matched, (("result", "none"),): context.unmatched}
