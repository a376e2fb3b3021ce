"""The registry as a raw ASGI app: finds the handler of a path, and turns what goes wrong into an answer."""

import logging
from http import HTTPStatus

from system.asgi import ClientLeft, Receive, Scope, Send
from system.leases import NotOwner, UnknownKey
from system.registry.context import Context
from system.registry.http import Answer, Refused, Request, Routes, answer

log = logging.getLogger("registry")


class RegistryApp:
    """An ASGI app over a table of routes."""

    def __init__(self, context: Context, routes: Routes) -> None:
        self._routes = routes
        self._largest_body = context.limits.body
        self._access = context.access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            result = await self._answer(scope, receive, send)
        except ClientLeft:
            return
        if result is None:
            return
        length = (b"content-length", b"%d" % len(result.body))
        headers = [(b"content-type", result.content_type), length, *result.headers]
        await send({"type": "http.response.start", "status": result.status, "headers": headers})
        await send({"type": "http.response.body", "body": result.body})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        try:
            self._access.check(scope)
        except Refused as refused:
            return _refusal(scope, refused)
        methods, varying = self._routes.find(scope)
        handler = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if handler is None:
            return _no_handler(sorted(methods))
        try:
            return await handler(Request(scope, receive, send, varying, self._largest_body))
        except Refused as refused:
            return _refusal(scope, refused)
        except UnknownKey:
            return _error(scope, 404, f"Service '{varying}' not found", f"no replica is called {varying!r}")
        except NotOwner as error:
            return _error(scope, 409, str(error))


def _no_handler(methods: list[str]) -> Answer:
    if not methods:
        return answer(404, {"detail": "Not Found"})
    refused = answer(405, {"detail": "Method Not Allowed"})
    return refused._replace(headers=((b"allow", ", ".join(methods).encode()),))


def _refusal(scope: Scope, refused: Refused) -> Answer:
    return _error(scope, refused.status, str(refused), refused.detail)._replace(headers=refused.headers)


def _error(scope: Scope, status: int, reason: str, detail: object = None) -> Answer:
    """An error in the words of the dialect: `error` for `/services`, `detail` for the others."""
    if scope["path"].startswith("/services"):
        return answer(status, {"error": reason})
    return answer(status, {"detail": detail or reason or HTTPStatus(status).phrase})
