"""What a router's behaviour depends on, beside its backends and its policy."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may send, and how long it may take."""

    head: int = 65_536
    body: int = 128 * 1024 * 1024
    keep_alive: float = 75.0
    request: float = 30.0
    stuck: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a backend may be silent, in seconds."""

    connect: float = 2.0
    first_byte: float = 600.0
    gap: float = 300.0
    total: float = 1800.0

    def exceeded(self, *, age: float, silence: float, started: bool) -> str | None:
        """Which of them is exceeded, in words."""
        if age > self.total:
            return f"not complete after {self.total:g} s"
        if not started:
            late = silence > self.first_byte
            return f"no first byte within {self.first_byte:g} s" if late else None
        late = silence > self.gap
        return f"nothing more within {self.gap:g} s" if late else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a router's behaviour depends on, beside its backends and its policy."""

    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    idle_timeout: float = 4.0
    """Seconds an unused connection to a backend is kept: less than servers keep theirs."""
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    """How backends with an https URL are verified."""
    peer_headers: bytes = b""
    """Header lines every request to a backend gets: the router's own token, if it has one."""
    everything: bool = False
    """Whether requests are proxied that are neither for a page nor for a model, to any backend."""
    session_header: str = "session"
    retry_share: float = 0.2
    """Retries and hedges, as a share of requests."""
    hedge_after: float = 0.0
    """Seconds without a first byte after which another backend is asked as well; 0: never."""
    outstanding: int = 0
    """Requests that one backend may have at a time; 0: any number."""
    queue: int = 100
    """Requests per model that may wait for a backend to have room."""
    queue_wait: float = 30.0
    """Seconds they may wait."""
