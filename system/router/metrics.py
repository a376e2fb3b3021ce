"""What the router counted, as Prometheus text."""

from collections.abc import Iterator

from system.breaker import State
from system.metrics import Metric, exposition, single
from system.router.counts import BOUNDS, Histogram
from system.router.proxy import Proxy

Labels = tuple[tuple[str, str], ...]


def write_metrics(proxy: Proxy) -> bytes:
    """The whole page."""
    plain = exposition(_plain(proxy))
    return plain + "".join(_histograms(proxy)).encode()


def _plain(proxy: Proxy) -> Iterator[Metric]:
    backends = proxy.table.backends.values()
    yield single("muster_router_requests_total", "counter", "Requests proxied.", proxy.totals.requests)
    yield single("muster_router_in_flight", "gauge", "Requests on their way.", len(proxy.exchanges))
    yield single("muster_router_connections", "gauge", "Connections of clients.", len(proxy.fronts))
    yield single("muster_router_draining", "gauge", "1 while draining.", int(proxy.draining))
    yield Metric(
        "muster_router_attempts_total",
        "counter",
        "Attempts at a backend, by how they ended.",
        {
            (("model", model), ("backend", backend.name), ("outcome", outcome.word)): count
            for backend in backends
            for model, series in backend.series.items()
            for outcome, count in series.outcomes.items()
            if count
        },
    )
    yield Metric(
        "muster_router_backend_up",
        "gauge",
        "Whether a backend is used.",
        {(("backend", backend.name),): int(backend.healthy) for backend in backends},
    )
    yield Metric(
        "muster_router_breaker_state",
        "gauge",
        "1 for the state a backend's breaker is in.",
        {
            (("backend", backend.name), ("state", state.value)): int(backend.breaker.state is state)
            for backend in backends
            for state in State
        },
    )
    yield Metric(
        "muster_router_breaker_transitions_total",
        "counter",
        "Changes of a backend's breaker, by the state it came to.",
        {
            (("backend", backend), ("state", state)): count
            for (backend, state), count in proxy.totals.transitions.items()
        },
    )
    yield Metric(
        "muster_router_waiting",
        "gauge",
        "Requests that wait for a backend to have room.",
        {(("model", group.model),): len(group.waiting) for group in proxy.table.groups.values()},
    )
    yield Metric(
        "muster_router_panic",
        "gauge",
        "1 where more breakers of a model's backends are open than may be minded.",
        {(("model", group.model),): int(group.panics) for group in proxy.table.groups.values()},
    )
    yield Metric(
        "muster_router_backend_outstanding",
        "gauge",
        "Requests on their way to a backend.",
        {(("backend", backend.name),): backend.outstanding for backend in backends},
    )
    yield Metric(
        "muster_router_retries_total",
        "counter",
        "Attempts repeated on another backend, by what failed.",
        {(("cause", cause),): count for cause, count in proxy.totals.retries.items()},
    )
    callers = proxy.callers or ()
    yield Metric(
        "muster_router_caller_requests_total",
        "counter",
        "Requests by caller.",
        {(("caller", caller.name),): caller.requests for caller in callers},
    )
    yield Metric(
        "muster_router_refusals_total",
        "counter",
        "Errors the router answered by itself, by code.",
        {(("code", code),): count for code, count in proxy.totals.refusals.items()},
    )


def _histograms(proxy: Proxy) -> Iterator[str]:
    about = {
        "muster_router_duration_seconds": ("From the request to the end of its answer.", "durations"),
        "muster_router_first_byte_seconds": (
            "From the request to the first byte of a streamed answer.",
            "first_bytes",
        ),
    }
    for name, (words, attribute) in about.items():
        yield f"# HELP {name} {words}\n# TYPE {name} histogram\n"
        for backend in proxy.table.backends.values():
            for model, series in backend.series.items():
                labels = exposition(
                    [Metric(name, "gauge", "", {(("model", model), ("backend", backend.name)): 0})]
                )
                inside = labels.decode().splitlines()[-1].partition("{")[2].rpartition("}")[0]
                yield from _histogram(name, inside, getattr(series, attribute))


def _histogram(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    below = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        below += count
        yield f'{name}_bucket{{{labels},le="{bound}"}} {below}\n'
    yield f"{name}_sum{{{labels}}} {histogram.total:g}\n{name}_count{{{labels}}} {below}\n"
