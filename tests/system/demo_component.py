"""A component for tests: answers, streams for ever, drains slowly, ends by itself or fails, as told."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from system.asgi import BodyTooLarge, Receive, Scope, Send, read_body, send_json, send_text
from system.component import ComponentConfig, Program, Serving, run
from system.config_values import Duration
from system.errors import StartupError
from system.http_server import http_server


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig(ComponentConfig):
    start: Annotated[Duration, "how long to start"] = 0.0
    leave: Annotated[Duration, "how long to leave"] = 0.0
    end: Annotated[str, "end by itself with this reason"] = ""
    refuse: Annotated[str, "do not start, with this reason"] = ""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    match scope["path"]:
        case "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"more\n", "more_body": True})
                await asyncio.sleep(0.01)
        case "/slow":
            await asyncio.sleep(0.3)
            await send_text(send, 200, "done")
        case "/body":
            try:
                await send_text(send, 200, str(len(await read_body(receive, limit=100_000))))
            except BodyTooLarge:
                await send_text(send, 413, "too large")
        case _:
            await send_json(send, 200, {"path": scope["path"]})


@asynccontextmanager
async def serve(config: DemoConfig) -> AsyncIterator[Serving]:
    if config.refuse:
        raise StartupError(config.refuse)
    await asyncio.sleep(config.start)
    async with http_server(app, config) as serving:
        try:
            yield _ending(serving, config.end) if config.end else serving
        finally:
            print("leaving", os.getpid(), flush=True)
            await asyncio.sleep(config.leave)


def _ending(serving: Serving, reason: str) -> Serving:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, ended.set_result, reason)
    return replace(serving, ended=ended)


PROGRAM = Program(name="demo", about="A demo.", config=DemoConfig, serve=serve)

if __name__ == "__main__":
    sys.exit(run(PROGRAM, sys.argv[1:]))
