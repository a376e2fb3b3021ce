"""The yardstick of `registry.py`: a capability server as the original was, FastAPI and a scan per query."""

import asyncio
import json
import random
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Body(BaseModel):
    replica_id: str
    endpoint: str
    capabilities: list[dict[str, Any]]


def main(arguments: list[str]) -> None:
    host, port = arguments[arguments.index("--host") + 1], int(arguments[arguments.index("--port") + 1])
    listener = socket.create_server((host, port), backlog=2048)
    print(f"original ready on http://{host}:{listener.getsockname()[1]}", flush=True)
    options = uvicorn.Config(original_app(), access_log=False, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(options).run(sockets=[listener])


def original_app() -> FastAPI:
    """One dictionary, a scan of all replicas per query."""
    app, replicas = FastAPI(), dict[str, Body]()

    async def events(body: Body) -> AsyncIterator[str]:
        try:
            yield f"data: {json.dumps({'status': 'registered', 'replica_id': body.replica_id})}\n\n"
            while True:
                yield 'data: {"status": "alive"}\n\n'
                await asyncio.sleep(5)
        finally:
            replicas.pop(body.replica_id, None)

    async def register(body: Body) -> StreamingResponse:
        replicas[body.replica_id] = body
        return StreamingResponse(events(body), media_type="text/event-stream")

    async def route(request: Request) -> dict[str, str]:
        wanted = dict(request.query_params).items()
        found = [
            one for one in replicas.values() if any(wanted <= offered.items() for offered in one.capabilities)
        ]
        if not found:
            raise HTTPException(404, "no matching replica")
        chosen = random.choice(found)
        return {"endpoint": chosen.endpoint, "replica_id": chosen.replica_id}

    app.post("/register", response_model=None)(register)
    app.get("/route")(route)
    return app


if __name__ == "__main__":
    main(sys.argv[1:])
