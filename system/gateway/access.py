"""Who may ask, how often, and how much at a time: decided before anything else sees the request."""

import math
from collections.abc import Callable

from system.asgi import (
    App,
    BodyTooLarge,
    ClientLeft,
    Message,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_json,
)
from system.router.callers import Caller, Callers

OPEN_PATHS = frozenset({"/", "/health", "/health/ready", "/health/live", "/ready"})  # probes carry no token
RATED_PATHS = frozenset({"/chat/direct", "/chat/decorator", "/v1/chat/completions"})


def refusal(path: str, message: str, kind: str, code: str) -> dict[str, object]:
    """An error in the shape that the path's clients know."""
    if path.startswith("/v1/"):
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return {"detail": message}


def guarded(app: App, callers: Callers | None, clock: Callable[[], float], max_body: int) -> App:
    """The app for those who may call it; `callers` None means everybody.

    The app finds the body of a POST, whole, as `scope["muster.body"]`, and who calls as
    `scope["muster.caller"]`.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if callers is not None and path not in OPEN_PATHS:
            caller = callers.find(header(scope, b"authorization") or b"")
            if caller is None:
                said = refusal(
                    path, "A valid bearer token is required.", "authentication_error", "invalid_api_key"
                )
                await send_json(send, 401, said, [(b"www-authenticate", b"Bearer")])
                return
            if path in RATED_PATHS and await _too_fast(caller, clock(), path, send):
                return
            scope["muster.caller"] = caller
        if scope["method"] == "POST":
            try:
                body = await read_body(receive, max_body)
            except ClientLeft:
                return
            except BodyTooLarge:
                words = f"The request's body exceeds {max_body} bytes."
                said = refusal(path, words, "invalid_request_error", "request_too_large")
                await send_json(send, 413, said, [(b"connection", b"close")])
                return
            scope["muster.body"] = body
            receive = _again(body, receive)
        await app(scope, receive, send)

    return guard


async def _too_fast(caller: Caller, now: float, path: str, send: Send) -> bool:
    seconds = math.ceil(caller.wait(now))
    if seconds:
        words = f"This token's rate is exceeded; try again in {seconds} s."
        said = refusal(path, words, "rate_limit_error", "rate_limit_exceeded")
        await send_json(send, 429, said, [(b"retry-after", b"%d" % seconds)])
    return bool(seconds)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, for whoever reads it once more; then whatever follows."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
