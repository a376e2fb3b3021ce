"""The HTTP interface that FastAPI serves: chats, health, providers, metrics."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from system.gateway import views
from system.gateway.bodies import ChatRequest, ChatResponse
from system.gateway.decorator import chat
from system.gateway.engine import Engine
from system.gateway.errors import GatewayError, NotServed
from system.gateway.hiding import hide
from system.gateway.leaving import UntilLeft
from system.gateway.values import Answer, Chat, messages_of, options_of
from system.metrics import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from system.gateway.service import Service

log = logging.getLogger("gateway")

CLIENT_LEFT = 499

VERSION = "1.0.0"

INDEX = {
    "service": "muster gateway",
    "version": VERSION,
    "docs": "/docs",
    "health": "/health",
    "endpoints": {
        "chat_direct": "/chat/direct",
        "chat_decorator": "/chat/decorator",
        "chat_completions": "/v1/chat/completions",
        "providers": "/providers",
        "metrics": "/metrics",
    },
}


def pages(service: "Service") -> FastAPI:
    """The app of one process."""
    app = FastAPI(title="muster gateway", version=VERSION)
    _add_chats(app, service)
    _add_health(app, service)
    _add_providers(app, service)
    _add_metrics(app, service)
    _add_errors(app, service)
    return app


def _add_chats(app: FastAPI, service: "Service") -> None:
    told: dict[int | str, dict[str, Any]] = {200: {"model": ChatResponse}}

    @app.post("/chat/direct", responses=told)
    async def chat_direct(body: ChatRequest, request: Request) -> Response:
        asked = Chat(
            messages=messages_of(body.message, body.system_message),
            options=options_of(temperature=body.temperature, max_tokens=body.max_tokens),
            provider=body.provider,
            allows=_allowed(request),
        )
        async with UntilLeft(request.receive):
            answer = await service.engine.complete(asked)
            log.info("Worker %d processed request with provider: %s", service.worker_id, answer.provider)
            return _answered(service, answer)
        return Response(status_code=CLIENT_LEFT)

    @chat(gateway=service.engine)
    async def ask(message: str) -> Answer: ...  # type: ignore[empty-body]

    @app.post("/chat/decorator", responses=told)
    async def chat_decorator(body: ChatRequest, request: Request) -> Response:
        asking = ask.with_options(
            gateway=Limited(service.engine, _allowed(request)),
            system_message=body.system_message,
            temperature=body.temperature,
            max_tokens=body.max_tokens,
            provider=body.provider,
        )
        async with UntilLeft(request.receive):
            answer = await asking(body.message)
            log.info("Worker %d processed decorator request", service.worker_id)
            return _answered(service, answer)
        return Response(status_code=CLIENT_LEFT)


class Limited:
    """The engine, for a caller who may not use every model."""

    def __init__(self, engine: Engine, allows: Callable[[str], bool] | None) -> None:
        self._engine = engine
        self._allows = allows

    async def complete(self, chat: Chat) -> Answer:
        return await self._engine.complete(replace(chat, allows=self._allows))


def _allowed(request: Request) -> Callable[[str], bool] | None:
    caller = request.scope.get("muster.caller")
    return caller.may_use if caller is not None else None


def _answered(service: "Service", answer: Answer) -> JSONResponse:
    return JSONResponse(
        {
            "content": answer.content,
            "provider": answer.provider,
            "model": answer.model,
            "worker_id": service.worker_id,
            "timestamp": views.stamp(service.wall()),
        }
    )


def _add_health(app: FastAPI, service: "Service") -> None:
    @app.get("/")
    async def index() -> dict[str, Any]:
        return {**INDEX, "worker_id": service.worker_id}

    @app.get("/health")
    async def health() -> JSONResponse:
        status, body = views.health(service.look())
        return JSONResponse(body, status)

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        status, body = views.readiness(service.look())
        return JSONResponse(body, status)

    @app.get("/health/live")
    async def live() -> dict[str, Any]:
        return {"alive": True, "worker_id": service.worker_id}


def _add_providers(app: FastAPI, service: "Service") -> None:
    @app.get("/providers")
    async def providers() -> dict[str, Any]:
        return views.providers(service.look())

    @app.post("/providers/{name}/reset")
    async def reset(name: str) -> dict[str, Any]:
        if name not in service.engine.counts.providers:
            msg = f"Provider '{name}' not found"
            raise NotServed(msg, code="provider_not_found")
        await service.engine.breakers.reset(name)
        log.info("Circuit breaker reset for provider '%s' by worker %d", name, service.worker_id)
        return {
            "message": f"Circuit breaker reset for provider '{name}'",
            "worker_id": service.worker_id,
            "new_state": service.engine.breakers.view(name).state.name,
        }


def _add_metrics(app: FastAPI, service: "Service") -> None:
    def text() -> Response:
        body = exposition(views.prometheus(service.look(), service.engine.counts))
        return Response(body, media_type=CONTENT_TYPE.decode())

    @app.get("/metrics/prometheus")
    async def prometheus() -> Response:
        return text()

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        accepted = request.headers.get("accept", "")
        if "text/plain" in accepted or "openmetrics" in accepted:
            return text()
        return JSONResponse(views.metrics(service.look(), service.engine.counts))


def _add_errors(app: FastAPI, service: "Service") -> None:
    @app.exception_handler(GatewayError)
    async def failed(_: Request, error: GatewayError) -> JSONResponse:
        body: dict[str, Any] = {"detail": hide(str(error))}
        if error.tried:
            body["tried"] = [one.as_json() for one in error.tried]
        body |= {"worker_id": service.worker_id, "timestamp": views.stamp(service.wall())}
        return JSONResponse(body, error.status, headers=retry_header(error))

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> JSONResponse:
        body = {
            "error": "Internal server error",
            "worker_id": service.worker_id,
            "timestamp": views.stamp(service.wall()),
        }
        return JSONResponse(body, 500)


def retry_header(error: GatewayError) -> dict[str, str]:
    """`Retry-After` in whole seconds, where there is one."""
    if error.retry_after is None or error.status not in (429, 503):
        return {}
    return {"retry-after": str(max(1, round(error.retry_after + 0.499)))}
