"""The registry as a raw ASGI app: finds the handler of a path, and turns what goes wrong into an answer."""

from http import HTTPStatus

from system.asgi import ClientLeft, Receive, Scope, Send
from system.leases import LeaseError, NotOwner
from system.registry.context import Context
from system.registry.http import Answer, Refused, Request, Routes, Streamed, answer


class RegistryApp:
    """An ASGI app over a table of routes."""

    def __init__(self, context: Context, routes: Routes) -> None:
        self._routes = routes
        self._largest_body = context.limits.body
        self._access = context.access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        varying = ""
        try:
            self._access.check(scope)
            methods, varying = self._routes.find(scope)
            handler = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if handler is None:
                result: Answer | Streamed = _no_handler(sorted(methods))
            else:
                result = await handler(Request(scope, receive, send, varying, self._largest_body))
        except ClientLeft:
            return
        except (Refused, LeaseError) as error:
            result = _refusal(scope, varying, error)
        if isinstance(result, Answer):
            await _send(send, result)
        else:
            # Of the request only what the stream itself needs is still held: thousands of them stay open.
            await result(receive, send)


async def _send(send: Send, result: Answer) -> None:
    length = (b"content-length", b"%d" % len(result.body))
    headers = [(b"content-type", result.content_type), length, *result.headers]
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    await send({"type": "http.response.body", "body": result.body})


def _no_handler(methods: list[str]) -> Answer:
    if not methods:
        return answer(404, {"detail": "Not Found"})
    refused = answer(405, {"detail": "Method Not Allowed"})
    return refused._replace(headers=((b"allow", ", ".join(methods).encode()),))


def _refusal(scope: Scope, varying: str, error: Refused | LeaseError) -> Answer:
    if isinstance(error, Refused):
        answered = _error(scope, error.status, str(error), error.detail)
        return answered._replace(headers=error.headers)
    if isinstance(error, NotOwner):
        return _error(scope, 409, str(error))
    return _error(scope, 404, f"Service '{varying}' not found", f"no replica is called {varying!r}")


def _error(scope: Scope, status: int, reason: str, detail: object = None) -> Answer:
    """An error in the words of the dialect: `error` for `/services`, `detail` for the others."""
    if scope["path"].startswith("/services"):
        return answer(status, {"error": reason})
    return answer(status, {"detail": detail or reason or HTTPStatus(status).phrase})
