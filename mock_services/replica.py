"""`python -m mock_services replica`: a worker's stand-in, registered for as long as its connection lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson

from system.component import ComponentConfig, Program, Serving
from system.config_values import Duration, Parse, Port, Unfit


def read_capabilities(value: Any) -> tuple[dict[str, Any], ...]:
    """A JSON list of objects, or a list that TOML holds."""
    msg = """a JSON list of objects, such as '[{"type":"chat"}]'"""
    try:
        listed = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        raise Unfit(msg) from None
    if not isinstance(listed, list | tuple) or not all(isinstance(one, dict) for one in listed):
        raise Unfit(msg)
    return tuple(listed)


Capabilities = Annotated[tuple[dict[str, Any], ...], Parse(read_capabilities, "JSON")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaConfig(ComponentConfig):
    """Who the replica is, what it can do, and how it keeps its registration."""

    port: Annotated[Port, "the port to listen on; 0 for a free one"] = 0
    replica_id: Annotated[str, "the id to register under"] = "replica"
    endpoint: Annotated[str, "what to register as HOST:PORT; empty: where it listens"] = ""
    capabilities: Annotated[Capabilities, "what it can do"] = field(default=({"type": "chat"},))
    registry: Annotated[str, "URL of the registry"] = "http://localhost:18000"
    renew: Annotated[bool, "announce a ttl and renew it, so that a freeze is noticed"] = False
    ttl: Annotated[Duration, "with --renew: how long the registry is to believe in it unheard"] = 2.0
    retry: Annotated[Duration, "how long to wait before registering again"] = 0.2
    unheard: Annotated[Duration, "how long the registry may say nothing; it says `alive` every 5 s"] = 12.0
    drain: Annotated[Duration, "how long open requests may take after SIGTERM"] = 1.0


@asynccontextmanager
async def serve(config: ReplicaConfig) -> AsyncIterator[Serving]:
    """Entered when it listens; the registration is kept beside it."""
    from mock_services.replica_lease import ReplicaLease
    from system.http_server import http_server

    lease = ReplicaLease(config)
    async with (
        http_server(lease.app, config) as serving,
        lease.kept(config.endpoint or serving.url.partition("://")[2]),
    ):
        yield serving


PROGRAM = Program(
    name="replica",
    about="A stand-in for a worker that is registered for as long as its connection lasts.",
    config=ReplicaConfig,
    serve=serve,
)
