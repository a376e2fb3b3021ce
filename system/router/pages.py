"""The router's own pages: what it knows, in the shapes of the contract."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from system.metrics import CONTENT_TYPE
from system.router.backends import Backend
from system.router.discovery import Registry
from system.router.front import Front
from system.router.metrics import FAILED, OUTSTANDING, SENT, count, write_metrics
from system.router.models import describe, list_models
from system.router.proxy import Proxy
from system.router.refusals import UNKNOWN_MODEL
from system.router.request import Page, Request
from system.router.sums import Sums, add

if TYPE_CHECKING:
    from system.router.sharing import Shared

JSON = b"application/json"


class Pages:
    """Answers for GET."""

    def __init__(self, proxy: Proxy, registries: Sequence[Registry], shared: "Shared | None") -> None:
        self._others: Callable[[], list[Sums]] = shared.others if shared is not None else list
        self._proxy = proxy
        self._registries = registries
        self._models = (-1, b"")

    def table(self) -> dict[bytes, Page]:
        documents: dict[bytes, Callable[[], Any]] = {
            b"/health": self.health,
            b"/status": self.health,
            b"/services": self.services,
            b"/stats": self.stats,
        }
        pages: dict[bytes, Page] = {path: _json_page(document) for path, document in documents.items()}
        pages |= {b"/models": self.models, b"/v1/models": self.models, b"/v1/models/": self.model}
        return pages | {b"/ready": self.ready, b"/metrics": self.metrics}

    def models(self, front: Front, request: Request) -> None:
        if request.caller is not None:
            listed = list_models(self._proxy.table, request.caller.may_use)
            front.respond(200, JSON, orjson.dumps(listed), request)
            return
        version, body = self._models
        if version != self._proxy.table.version:
            body = orjson.dumps(list_models(self._proxy.table))
            self._models = (self._proxy.table.version, body)
        front.respond(200, JSON, body, request)

    def model(self, front: Front, request: Request) -> None:
        name = request.path.removeprefix(b"/v1/models/").decode("utf-8", "replace")
        group = self._proxy.table.groups.get(name)
        hidden = request.caller is not None and not request.caller.may_use(name)
        if group is None or hidden or not group.usable:
            front.refuse(UNKNOWN_MODEL.saying(model=name[:200]), request)
        else:
            front.respond(200, JSON, orjson.dumps(describe(name, group.usable[0])), request)

    def ready(self, front: Front, request: Request) -> None:
        ready = self.is_ready()
        front.respond(200 if ready else 503, JSON, orjson.dumps({"ready": ready}), request)

    def is_ready(self) -> bool:
        """Whether clients may be sent here: not draining, and every source of backends was heard once."""
        heard = all(registry.heard_at is not None for registry in self._registries)
        return heard and not self._proxy.draining

    def metrics(self, front: Front, request: Request) -> None:
        front.respond(
            200, CONTENT_TYPE, write_metrics(self._proxy, self._registries, self._others()), request
        )

    def health(self) -> dict[str, Any]:
        backends = self._backends()
        healthy = sum(backend.healthy for backend in backends)
        away = {one.url: one.error for one in self._registries if one.error is not None}
        message = None if healthy else "No healthy services available"
        if away:
            said = "; ".join(f"registry {url}: {error}" for url, error in away.items())
            message = f"{message}; {said}" if message else f"{said}; going on with what it said last"
        return {
            "healthy_services": f"{healthy}/{len(backends)}",
            "message": message,
            "registry_url": self._registry_url(),
            "router": "running",
            "status": "healthy" if healthy else "running",
            "timestamp": int(time.time()),
        }

    def services(self) -> dict[str, Any]:
        services = self._listed()
        return {"registry_url": self._registry_url(), "services": services, "total": len(services)}

    def _listed(self) -> list[dict[str, Any]]:
        sums = add([count(self._proxy, self._registries), *self._others()])
        return [_service(backend, sums) for backend in self._backends()]

    def stats(self) -> dict[str, Any]:
        services = self._listed()
        return {
            "healthy_services": sum(service["healthy"] for service in services),
            "registry_url": self._registry_url(),
            "services": services,
            "total_services": len(services),
        }

    def _backends(self) -> list[Backend]:
        return list(self._proxy.table.backends.values())

    def _registry_url(self) -> str | None:
        return ",".join(registry.url for registry in self._registries) or None


def _json_page(document: Callable[[], Any]) -> Page:
    def page(front: Front, request: Request) -> None:
        front.respond(200, JSON, orjson.dumps(document()), request)

    return page


def _service(backend: Backend, sums: Sums) -> dict[str, Any]:
    entry = backend.entry
    labels = (("backend", backend.name),)
    return {
        "name": backend.name,
        "host": entry.host,
        "port": entry.port,
        "url": entry.url,
        "babysitter_url": entry.babysitter_url,
        "healthy": backend.healthy,
        "reason": backend.reason,
        "breaker": backend.breaker.state.value,
        "outstanding": int(sums.get(OUTSTANDING, labels)),
        "request_count": int(sums.get(SENT, labels)),
        "error_count": int(sums.get(FAILED, labels)),
        "response_time": backend.probe_seconds,
        "weight": entry.weight,
        "models": list(entry.models),
        "metadata": dict(entry.metadata),
    }
