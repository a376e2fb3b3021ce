"""What the router counted, as Prometheus text; over all its processes where there are several."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from system.breaker import State
from system.metrics import Metric, exposition
from system.router.counts import BOUNDS, Histogram
from system.router.sums import Labels, Sums, add

if TYPE_CHECKING:
    from system.router.backends import Backend
    from system.router.discovery import Registry
    from system.router.proxy import Proxy

SENT = "muster_router_backend_requests_total"
FAILED = "muster_router_backend_errors_total"
OUTSTANDING = "muster_router_backend_outstanding"


class Family(NamedTuple):
    """One metric. A state is what this process sees; anything else adds up over processes."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    values: Mapping[Any, float]  # by Labels
    state: bool = False


def count(proxy: "Proxy", registries: Sequence["Registry"]) -> Sums:
    """What this process counted."""
    values = {family.name: dict(family.values) for family in _families(proxy, registries) if not family.state}
    histograms = {name: dict(by_labels) for name, _, by_labels in _histograms(proxy, registries)}
    return Sums(values, histograms)


def write_metrics(proxy: "Proxy", registries: Sequence["Registry"], others: Sequence[Sums]) -> bytes:
    """The whole page."""
    sums = add([count(proxy, registries), *others])
    metrics = (
        Metric(one.name, one.kind, one.help, one.values if one.state else sums.values[one.name])
        for one in _families(proxy, registries)
    )
    histograms = (
        _histogram(name, about, sums.histograms[name]) for name, about, _ in _histograms(proxy, registries)
    )
    return exposition(metrics) + "".join(histograms).encode()


def _families(proxy: "Proxy", registries: Sequence["Registry"]) -> Iterator[Family]:
    yield from _of_requests(proxy)
    yield from _of_backends(proxy.table.backends.values())
    yield from _of_groups(proxy)
    yield from _of_process(proxy, registries)


def _of_requests(proxy: "Proxy") -> Iterator[Family]:
    totals = proxy.totals
    requests = {(): totals.requests}
    yield Family("muster_router_requests_total", "counter", "Requests proxied.", requests)
    yield Family("muster_router_in_flight", "gauge", "Requests on their way.", {(): len(proxy.exchanges)})
    yield Family("muster_router_connections", "gauge", "Connections of clients.", {(): len(proxy.fronts)})
    retries = {(("cause", cause),): number for cause, number in totals.retries.items()}
    yield Family("muster_router_retries_total", "counter", "Attempts repeated, by what failed.", retries)
    refusals = {(("code", code),): number for code, number in totals.refusals.items()}
    yield Family("muster_router_refusals_total", "counter", "Errors of the router's own, by code.", refusals)
    callers: Mapping[Labels, float] = {(("caller", one.name),): one.requests for one in proxy.callers or ()}
    yield Family("muster_router_caller_requests_total", "counter", "Requests by caller.", callers)


def _of_backends(backends: Iterable["Backend"]) -> Iterator[Family]:
    backends = list(backends)
    attempts: dict[Labels, float] = {
        (("model", model), ("backend", backend.name), ("outcome", outcome.word)): number
        for backend in backends
        for model, series in backend.series.items()
        for outcome, number in series.outcomes.items()
        if number
    }
    about = "Attempts at a backend, by how they ended."
    yield Family("muster_router_attempts_total", "counter", about, attempts)
    tokens: dict[Labels, float] = {
        (("model", model), *_backend(backend)): series.tokens
        for backend in backends
        for model, series in backend.series.items()
    }
    about = "Completion tokens that answers told of."
    yield Family("muster_router_completion_tokens_total", "counter", about, tokens)
    yield Family(
        SENT, "counter", "Requests sent to a backend.", {_backend(one): one.sent for one in backends}
    )
    yield Family(FAILED, "counter", "Attempts that broke.", {_backend(one): one.failed for one in backends})
    outstanding = {_backend(one): one.outstanding for one in backends}
    yield Family(OUTSTANDING, "gauge", "Requests on their way to a backend.", outstanding)
    up = {_backend(one): int(one.healthy) for one in backends}
    yield Family("muster_router_backend_up", "gauge", "Whether a backend is used.", up, state=True)
    states = {
        (*_backend(one), ("state", state.value)): int(one.breaker.state is state)
        for one in backends
        for state in State
    }
    about = "1 for the state a backend's breaker is in."
    yield Family("muster_router_breaker_state", "gauge", about, states, state=True)


def _backend(backend: "Backend") -> Labels:
    return (("backend", backend.name),)


def _of_groups(proxy: "Proxy") -> Iterator[Family]:
    groups = proxy.table.groups.values()
    waiting = {(("model", group.model),): len(group.waiting) for group in groups}
    about = "Requests that wait for a backend to have room."
    yield Family("muster_router_waiting", "gauge", about, waiting)
    panics = {(("model", group.model),): int(group.panics) for group in groups}
    about = "1 where more breakers are open than may be minded."
    yield Family("muster_router_panic", "gauge", about, panics, state=True)


def _of_process(proxy: "Proxy", registries: Sequence["Registry"]) -> Iterator[Family]:
    transitions: dict[Labels, float] = {
        (("backend", backend), ("state", state)): number
        for (backend, state), number in proxy.totals.transitions.items()
    }
    about = "Changes of breakers, by the state they came to."
    yield Family("muster_router_breaker_transitions_total", "counter", about, transitions)
    lag = {(): round(proxy.loop_lag, 6)}
    yield Family("muster_router_loop_lag_seconds", "gauge", "How late timers run.", lag, state=True)
    now = time.time()
    ages = {(("registry", one.url),): round(now - one.heard_at, 3) for one in registries if one.heard_at}
    about = "Time since a registry was heard of."
    yield Family("muster_router_registry_silence_seconds", "gauge", about, ages, state=True)
    watched = {(("registry", one.url),): int(one.watched) for one in registries}
    about = "Whether a registry's watch is followed; else it is asked."
    yield Family("muster_router_registry_watched", "gauge", about, watched, state=True)
    draining = {(): int(proxy.draining)}
    yield Family("muster_router_draining", "gauge", "1 while draining.", draining, state=True)


def _histograms(
    proxy: "Proxy", registries: Sequence["Registry"]
) -> Iterator[tuple[str, str, dict[Labels, list[float]]]]:
    durations: dict[Labels, list[float]] = {}
    first_bytes: dict[Labels, list[float]] = {}
    for backend in proxy.table.backends.values():
        for model, series in backend.series.items():
            labels = (("model", model), *_backend(backend))
            durations[labels] = _numbers(series.durations)
            first_bytes[labels] = _numbers(series.first_bytes)
    yield "muster_router_duration_seconds", "From the request to the end of its answer.", durations
    about = "From the request to the first byte of a streamed answer."
    yield "muster_router_first_byte_seconds", about, first_bytes
    lags: dict[Labels, list[float]] = {(("registry", one.url),): _numbers(one.lags) for one in registries}
    about = "From a service's registration, by the registry's clock, until it was used."
    yield "muster_router_discovery_lag_seconds", about, lags


def _numbers(histogram: Histogram) -> list[float]:
    return [*histogram.counts, histogram.total]


def _histogram(name: str, about: str, by_labels: Mapping[Labels, list[float]]) -> str:
    lines = [f"# HELP {name} {about}\n# TYPE {name} histogram\n"]
    for labels, (*counts, total) in by_labels.items():
        below = 0.0
        rows: dict[Labels, float] = {}
        for bound, number in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            below += number
            rows[*labels, ("le", bound)] = below
        lines += _rows(f"{name}_bucket", rows)
        lines += _rows(f"{name}_sum", {labels: total})
        lines += _rows(f"{name}_count", {labels: below})
    return "".join(lines)


def _rows(name: str, values: Mapping[Labels, float]) -> list[str]:
    lines = exposition([Metric(name, "gauge", "", values)]).decode().splitlines(keepends=True)
    return [line for line in lines if not line.startswith("#")]
