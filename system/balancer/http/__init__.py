"""The HTTP half as a FastAPI app: fleet, questions, chats, documents; `/docs` describes it."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from system.balancer.half import GrpcHalf
from system.balancer.http import asking, chats, documents, failures, fleet, ui
from system.balancer.http.limits import Limited
from system.balancer.storage.base import Storage

LOOPBACK = r"https?://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?"


def balancer_app(half: GrpcHalf, storage: Storage, origins: Sequence[str] = ()) -> FastAPI:
    """An app over a gRPC half and a storage, for browsers of these origins (none named: of this machine)."""
    app = FastAPI(title="Smart AI Load Balancer", version="4.0")
    failures.install(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_origin_regex=None if origins else LOOPBACK,
        allow_methods=["*"],
        allow_headers=["*"],
    )

    app.add_middleware(Limited)
    app.include_router(fleet.router_over(half, storage, app.version))
    app.include_router(ui.router)
    app.include_router(asking.router_over(half, storage))
    app.include_router(chats.router_over(storage))
    app.include_router(documents.router_over(storage))
    return app
