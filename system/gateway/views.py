"""What the pages show, from how the providers stand. Pure: time and process come in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from system.breaker import CLOSED, OPEN, State
from system.gateway.breakers import BreakerView, SyncView
from system.gateway.counts import Counts
from system.gateway.providers.base import Provider
from system.metrics import Metric, single

_STATES = tuple(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One provider and its breaker."""

    provider: Provider
    breaker: BreakerView

    @property
    def admitted(self) -> bool:
        """Its circuit lets requests through, or one that probes."""
        return self.breaker.state is not OPEN

    @property
    def available(self) -> bool:
        """A request sent now may go there."""
        return self.admitted and (self.breaker.state is not CLOSED or self.breaker.due_at is None)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.provider.name,
            "available": self.available,
            "circuit_state": self.breaker.state.name,
            "failure_count": self.breaker.failure_count,
            "last_failure_time": stamp(self.breaker.last_failure_time),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything the pages need, at one moment."""

    worker_id: int
    now: float
    """Wall time, in seconds since 1970."""
    stands: tuple[Stand, ...]
    link: SyncView

    @property
    def ready(self) -> bool:
        return any(stand.admitted for stand in self.stands)


def stamp(seconds: float | None) -> str | None:
    """A time as the pages write it: UTC, without saying so, to the microsecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def health(look: Look) -> tuple[int, dict[str, Any]]:
    """Status and body: 503 as soon as one circuit is open, as monitors of this page expect."""
    closed = all(stand.admitted for stand in look.stands)
    status = "healthy" if closed else "degraded" if look.ready else "unhealthy"
    body = {
        "status": status,
        "worker_id": look.worker_id,
        "timestamp": stamp(look.now),
        "redis_connected": look.link.redis_connected,
        "sync_enabled": look.link.sync_enabled,
        "sync": look.link.detail,
        "providers": [
            {
                "name": one.provider.name,
                "model": one.provider.model,
                **one.as_json(),
                "priority": one.provider.priority,
            }
            for one in look.stands
        ],
    }
    return (200 if closed else 503), body


def readiness(look: Look) -> tuple[int, dict[str, Any]]:
    if look.ready:
        return 200, {"ready": True, "worker_id": look.worker_id}
    return 503, {"ready": False, "reason": "No providers available", "worker_id": look.worker_id}


def providers(look: Look) -> dict[str, Any]:
    return {
        "worker_id": look.worker_id,
        "providers": [
            {
                **one.as_json(),
                "model": one.provider.model,
                "priority": one.provider.priority,
                "success_count": one.breaker.success_count,
                "opened_at": stamp(one.breaker.opened_at),
                "retry_at": stamp(one.breaker.due_at),
                "changed_by": one.breaker.changed_by,
                "cause": one.breaker.cause,
                "version": one.breaker.version,
            }
            for one in look.stands
        ],
        "timestamp": stamp(look.now),
    }


def metrics(look: Look, counts: Counts) -> dict[str, Any]:
    """The JSON form."""
    return {
        "worker_id": look.worker_id,
        "timestamp": stamp(look.now),
        "redis_status": "connected" if look.link.redis_connected else "disconnected",
        "sync_enabled": look.link.sync_enabled,
        "circuit_breakers": {
            one.provider.name: {
                "state": one.breaker.state.name,
                "failure_count": one.breaker.failure_count,
                "success_count": one.breaker.success_count,
                "last_failure_time": stamp(one.breaker.last_failure_time),
                "last_success_time": stamp(one.breaker.last_success_time),
            }
            for one in look.stands
        },
        "provider_count": len(look.stands),
        "requests": {
            "total": counts.requests,
            "failovers": counts.failovers,
            "unanswered": counts.exhausted,
            "providers": {
                name: {
                    "requests": one.requests,
                    "successes": one.successes,
                    "errors": dict(one.errors),
                    "seconds": round(one.seconds, 6),
                    "prompt_tokens": one.prompt_tokens,
                    "completion_tokens": one.completion_tokens,
                }
                for name, one in counts.providers.items()
            },
        },
    }


def prometheus(look: Look, counts: Counts) -> Iterable[Metric]:
    """The same for Prometheus; the process is a label, since each is scraped through one port."""
    worker = ("worker_id", str(look.worker_id))

    def by_provider(values: Mapping[str, float]) -> dict[tuple[tuple[str, str], ...], float]:
        return {(("provider", name), worker): value for name, value in values.items()}

    yield Metric(
        "muster_gateway_circuit_state",
        "gauge",
        "1 for the state that a provider's circuit is in",
        {
            (("provider", one.provider.name), ("state", state.name), worker): float(
                one.breaker.state is state
            )
            for one in look.stands
            for state in _STATES
        },
    )
    yield Metric(
        "muster_gateway_circuit_failures",
        "gauge",
        "failures that count towards opening a provider's circuit",
        by_provider({one.provider.name: one.breaker.failure_count for one in look.stands}),
    )
    told = counts.providers.items()
    totals: dict[str, tuple[str, dict[str, float]]] = {
        "requests": ("calls of a provider", {name: one.requests for name, one in told}),
        "successes": ("calls that it answered", {name: one.successes for name, one in told}),
        "seconds": ("seconds that its calls took", {name: one.seconds for name, one in told}),
        "prompt_tokens": ("tokens of questions", {name: one.prompt_tokens for name, one in told}),
        "completion_tokens": ("tokens of answers", {name: one.completion_tokens for name, one in told}),
    }
    for word, (about, values) in totals.items():
        yield Metric(f"muster_gateway_provider_{word}_total", "counter", about, by_provider(values))
    yield Metric(
        "muster_gateway_provider_errors_total",
        "counter",
        "calls that failed, by kind",
        {
            (("error", word), ("provider", name), worker): float(number)
            for name, one in told
            for word, number in one.errors.items()
        },
    )
    for word, about, number in (
        ("requests", "chats asked of this process", counts.requests),
        ("failovers", "chats that another provider than the first one answered", counts.failovers),
        ("unanswered", "chats that no provider answered", counts.exhausted),
    ):
        yield Metric(f"muster_gateway_{word}_total", "counter", about, {(worker,): number})
    yield single(
        "muster_gateway_redis_connected", "gauge", "whether Redis is reached", look.link.redis_connected
    )
    yield single("muster_gateway_sync_enabled", "gauge", "whether others are told", look.link.sync_enabled)
