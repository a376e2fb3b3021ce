"""What a worker program can be told."""

from dataclasses import dataclass
from typing import Annotated

from system.component import ComponentConfig
from system.config import AlsoFlag, Positional
from system.config_values import Duration, Port


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig(ComponentConfig):
    """Which worker to serve, where, and where to register it."""

    app: Annotated[str, "the worker: MODULE:ATTR", Positional()]
    port: Annotated[Port, "the port to listen on"] = 50051
    registry: Annotated[
        tuple[str, ...], "where to register; several: registered at all", AlsoFlag("--api-server")
    ] = ()
    replica_id: Annotated[str, "the name to register (default: made of host and port)"] = ""
    advertise: Annotated[str, "HOST:PORT to register, when it is not --host and --port"] = ""
    ttl: Annotated[Duration, "the registry forgets a worker that is silent for so long"] = 4.0
    linger: Annotated[
        Duration, "how long calls are still taken after leaving the registries, from who was just sent here"
    ] = 0.5
    threads: Annotated[int, "how many handlers run in threads at a time"] = 8
    max_concurrency: Annotated[int, "calls in progress beyond which callers are refused"] = 256
    max_message: Annotated[int, "bytes of the largest message"] = 512 * 1024 * 1024
    processes: Annotated[int, "worker processes behind this one endpoint"] = 1
