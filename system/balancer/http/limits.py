"""A bound on what is read of a request, whether it says how long it is or not."""

import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from system.asgi import header, send_json

LARGEST_BODY = 64 * 1024 * 1024


class _TooLarge(Exception):
    pass


class Limited:
    """An app whose requests have at most LARGEST_BODY bytes; 413 otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = header(scope, b"content-length") or b"0"
        if said.isdigit() and int(said) > LARGEST_BODY:
            await _refuse(send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY:
                raise _TooLarge
            return message

        async def unless_too_large(message: Message) -> None:
            # whoever reads the body makes an answer of its own of what was raised
            if size <= LARGEST_BODY:
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, unless_too_large)
        if size > LARGEST_BODY:
            await _refuse(send)


async def _refuse(send: Send) -> None:
    error = f"the body may have {LARGEST_BODY} bytes at most"
    await send_json(send, 413, {"success": False, "error": error})
