"""The babysitter's own HTTP, on the port after the backend's."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from system.asgi import Receive, Scope, Send, send_bytes, send_json
from system.babysitter.probe import Unwell
from system.babysitter.registrar import Registrar
from system.babysitter.supervisor import Supervisor
from system.http_client import Unreachable
from system.metrics import CONTENT_TYPE, Metric, exposition, single

Page = Callable[[Send], Awaitable[None]]


class Pages:
    """An ASGI app: GET on a handful of paths."""

    def __init__(
        self, supervisor: Supervisor, advertised: str, own: Sequence[Registrar], backend: Sequence[Registrar]
    ) -> None:
        self._supervisor = supervisor
        self._advertised = advertised
        self._own = own
        self._backend = backend
        self._started = time.monotonic()
        self._pages: dict[str, Page] = {
            "/health": self.health,
            "/ready": self.ready,
            "/models": self.models,
            "/info": self.info,
            "/metrics": self.metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._pages.get(scope["path"])
        if page is None:
            known = ", ".join(self._pages)
            await send_json(send, 404, {"error": f"no such path; a babysitter has {known}"})
        elif scope["method"] not in ("GET", "HEAD"):
            await send_json(send, 405, {"error": "only GET is allowed"}, [(b"allow", b"GET, HEAD")])
        else:
            await page(send)

    async def health(self, send: Send) -> None:
        """503 unless the backend serves: who probes the babysitter wants to know about its backend."""
        supervisor = self._supervisor
        healthy = supervisor.phase == "healthy"
        running = supervisor.child is not None and supervisor.child.alive
        document = {
            "status": "healthy" if healthy else "unhealthy",
            "service": supervisor.config.service_name,
            "babysitter": "enhanced",
            "infinilm_server_running": running,
            "infinilm_server_port": supervisor.config.port if healthy else None,
            "backend": supervisor.phase,
            "timestamp": int(time.time()),
        }
        await send_json(send, 200 if healthy else 503, document)

    async def ready(self, send: Send) -> None:
        """200 once the backend serves and, where there is a registry, is registered."""
        registered = {registrar.registry_url: registrar.registered for registrar in self._backend}
        ready = self._supervisor.phase == "healthy" and (any(registered.values()) or not registered)
        document = {"ready": ready, "backend": self._supervisor.phase, "registered": registered}
        await send_json(send, 200 if ready else 503, document)

    async def models(self, send: Send) -> None:
        try:
            answer = await self._supervisor.probe.list_models()
        except (Unreachable, Unwell):
            await send_bytes(send, 503, b"", b"application/json")
        else:
            await send_bytes(send, answer.status, answer.body, answer.content_type.encode("latin-1"))

    async def info(self, send: Send) -> None:
        supervisor, config = self._supervisor, self._supervisor.config
        document: dict[str, Any] = {
            "name": config.service_name,
            "host": self._advertised,
            "port": config.port + 1,
            "url": f"http://{self._advertised}:{config.port + 1}",
            "service_type": config.service_type,
            "infinilm_server_port": config.port,
            "uptime": round(time.monotonic() - self._started, 3),
            "restart_count": supervisor.restarts.total,
            "backend": supervisor.phase,
            "backend_pid": supervisor.child.pid if supervisor.child else None,
            "models": [model["id"] for model in supervisor.models],
            "metadata": dict(config.metadata),
        }
        await send_json(send, 200, document)

    async def metrics(self, send: Send) -> None:
        supervisor = self._supervisor
        registered: dict[tuple[tuple[str, str], ...], float] = {
            (("name", registrar.name), ("registry", registrar.registry_url)): float(registrar.registered)
            for registrar in (*self._own, *self._backend)
        }
        up, total = float(supervisor.phase == "healthy"), supervisor.restarts.total
        body = exposition(
            [
                single("muster_babysitter_backend_up", "gauge", "Whether the backend serves", up),
                single("muster_babysitter_restarts_total", "counter", "Restarts of the backend", total),
                Metric("muster_babysitter_registered", "gauge", "Whether a name is registered", registered),
            ]
        )
        await send_bytes(send, 200, body, CONTENT_TYPE)
