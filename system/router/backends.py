"""One backend and what is known of it: its entry, its health, what is on its way to it."""

from system.breaker import Breaker, BreakerSettings
from system.router.counts import Series
from system.router.entries import Entry

_UNPRINTABLE = dict.fromkeys((*range(32), 127), "?")


class Backend:
    """What a router routes to. Counters change on the hot path; health changes only through the table."""

    __slots__ = (
        "blocked",
        "breaker",
        "down_since",
        "entry",
        "failed",
        "head",
        "heard_at",
        "host_line",
        "looked_at",
        "name",
        "outstanding",
        "patience",
        "probe_seconds",
        "reason",
        "sent",
        "series",
        "silent",
    )

    def __init__(self, entry: Entry, breaker: BreakerSettings = BreakerSettings()) -> None:  # noqa: B008 - frozen
        self.breaker = Breaker(breaker)
        self.blocked = False  # what its breaker said last
        self.name = entry.name
        self.outstanding = 0
        self.sent = 0
        self.failed = 0
        self.probe_seconds = 0.0
        self.heard_at = 0.0  # when it last said anything, or began to owe something
        self.looked_at = 0.0  # the same, where that was in answer to a look
        self.patience = 0.0  # seconds of silence after which the next look is due
        self.series: dict[str, Series] = {}
        self.down_since: float | None = None  # it is not there
        self.silent = False  # it is there and does not answer probes: used only where there is no other
        self.reason = ""
        self.head = b"x-muster-backend: " + _header_text(entry.name) + b"\r\n"
        self.host_line = b"host: " + _header_text(entry.authority) + b"\r\n"
        self.entry = entry

    @property
    def healthy(self) -> bool:
        return self.down_since is None and not self.silent

    def series_of(self, model: str) -> Series:
        series = self.series.get(model)
        if series is None:
            series = self.series[model] = Series()
        return series

    def __repr__(self) -> str:
        return (
            f"<Backend {self.name} {self.entry.url}{'' if self.healthy else ' not healthy: ' + self.reason}>"
        )


def _header_text(text: str) -> bytes:
    """A name as a header's value: nothing in it may end the line."""
    return text.translate(_UNPRINTABLE).encode("utf-8")
