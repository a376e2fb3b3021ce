"""What a router can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from system.component import ComponentConfig
from system.config_values import Duration, Port
from system.router.policies import POLICIES


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig(ComponentConfig):
    """What a router can be told."""

    port: Annotated[Port, "the port to listen on"] = 8000
    registry: Annotated[tuple[str, ...], "a registry's URL"] = ()
    static_services: Annotated[Path | None, "file with services that are always there (JSON)"] = None
    policy: Annotated[str, "how a backend is chosen: " + ", ".join(POLICIES)] = "least-outstanding"
    session_header: Annotated[str, "the header that names a session, where no prompt_cache_key does"] = (
        "session"
    )
    overload: Annotated[
        float, "how far above the average a backend's load may be before affinity gives way"
    ] = 1.25
    cache_type_threshold: Annotated[
        int, "bytes of text above which policy cache-type wants a static cache"
    ] = 51_200
    breaker_share: Annotated[float, "share of failures that opens a backend's breaker"] = 0.5
    breaker_volume: Annotated[int, "requests within the window below which it stays closed"] = 10
    breaker_window: Annotated[Duration, "the window in which failures are counted"] = 10.0
    breaker_open: Annotated[Duration, "how long it stays open at first"] = 5.0
    ejectable: Annotated[float, "share of a model's backends that breakers may take out at a time"] = 0.5
    retry_share: Annotated[float, "retries and hedges, as a share of requests"] = 0.2
    hedge_after: Annotated[
        Duration, "time without a first byte after which another is asked too; 0: never"
    ] = 0.0
    max_outstanding: Annotated[int, "requests one backend may have at a time; 0: any number"] = 0
    queue: Annotated[int, "requests per model that may wait for a backend to have room"] = 100
    queue_wait: Annotated[Duration, "how long they may wait"] = 30.0
    poll_interval: Annotated[Duration, "how often a registry is asked"] = 0.15
    registry_timeout: Annotated[Duration, "how long a registry may take to answer"] = 2.0
    registry_grace: Annotated[
        Duration, "how long services are kept that a registry, back after it was away, does not list yet"
    ] = 10.0
    probe_interval: Annotated[Duration, "how often a backend is probed"] = 1.0
    probe_failures: Annotated[int, "probes without an answer after which a backend is a last resort"] = 2
    probe_timeout: Annotated[Duration, "how long a backend may take to answer a probe"] = 1.0
    suspect_after: Annotated[
        Duration,
        "silence of a backend that owes answers after which it is asked for a sign of life; 0: never",
    ] = 0.1
    suspect_timeout: Annotated[
        Duration, "how long it may take to give one before requests are sent elsewhere as well"
    ] = 0.5
    connect_timeout: Annotated[Duration, "how long a connection to a backend may take"] = 2.0
    first_byte_timeout: Annotated[Duration, "how long a backend may take to begin its answer"] = 600.0
    gap_timeout: Annotated[Duration, "how long a backend may pause within its answer"] = 300.0
    total_timeout: Annotated[Duration, "how long an answer may take as a whole"] = 1800.0
    request_timeout: Annotated[Duration, "how long a client may take to send a request"] = 30.0
    stall_timeout: Annotated[Duration, "how long a client may not read what it asked for"] = 60.0
    keep_alive: Annotated[Duration, "how long a client's connection may be idle"] = 75.0
    max_body: Annotated[int, "the largest request body, in bytes"] = 128 * 1024 * 1024
    callers: Annotated[Path | None, "file with callers: tokens, the models each may use, rates (TOML)"] = None
    backend_ca: Annotated[Path | None, "CA (PEM) that https backends and registries are verified with"] = None
    drain_delay: Annotated[
        Duration, "after SIGTERM, how long clients are still accepted while /ready says no; part of --drain"
    ] = 0.0
    proxy_everything: Annotated[bool, "send what is for no page and names no model to any backend"] = False
    workers: Annotated[int, "processes that share the port"] = 1
    access_log: Annotated[bool, "a line per proxied request"] = False
    access_log_every: Annotated[int, "log one of so many proxied requests, with --access-log"] = 1
