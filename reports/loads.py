"""Client traffic: what each load sent, how long it took, who served it; and the requests as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.events import LoadFinished, LoadStarted, RequestDone
from harness.history import of
from reports.model import LoadReport, Quantiles, Requests

if TYPE_CHECKING:
    from harness.history import Record

KEPT = 120_000
"""At most so many requests go into a report; those that did not succeed first."""

Pair = tuple["Record", RequestDone]


def quantiles(values: Iterable[float]) -> Quantiles | None:
    """The quantiles of durations, None when there are none."""
    array = np.fromiter(values, dtype=float)
    if not array.size:
        return None
    p50, p90, p99 = np.quantile(array, (0.5, 0.9, 0.99))
    return Quantiles(
        count=int(array.size), p50=float(p50), p90=float(p90), p99=float(p99), longest=float(array.max())
    )


def loads_of(records: Sequence[Record], end: float) -> tuple[LoadReport, ...]:
    """Every load that began; one that was cut short has the counts of what was recorded."""
    requests: dict[str, list[RequestDone]] = {}
    for _, request in of(records, RequestDone):
        requests.setdefault(request.load, []).append(request)
    finished = {e.load: (r.t, e) for r, e in of(records, LoadFinished)}
    return tuple(
        _load(record, event, requests.get(event.load, []), finished.get(event.load), end)
        for record, event in of(records, LoadStarted)
    )


def _load(
    record: Record,
    event: LoadStarted,
    requests: Sequence[RequestDone],
    finished: tuple[float, LoadFinished] | None,
    end: float,
) -> LoadReport:
    outcomes = Counter(request.outcome for request in requests)
    return LoadReport(
        id=event.load,
        what=event.what,
        url=event.url,
        step=record.step,
        started=record.t,
        ended=finished[0] if finished else end,
        concurrency=event.concurrency,
        asked=event.requests,
        rate=event.rate,
        sent=finished[1].sent if finished else len(requests),
        ok=outcomes["ok"],
        failed=outcomes["error"],
        unknown=finished[1].unknown if finished else outcomes["unknown"],
        took=quantiles(r.ended - r.started for r in requests if r.outcome == "ok"),
        first_byte=quantiles(
            r.first_byte - r.started for r in requests if r.stream and r.first_byte is not None
        ),
        served_by=_counts(r.served_by for r in requests if r.served_by),
        statuses=_counts(str(r.status) for r in requests if r.status is not None),
        errors=_counts((r.error for r in requests if r.error), most=10),
    )


def _counts(values: Iterable[str], most: int = 50) -> dict[str, int]:
    return dict(Counter(values).most_common(most))


def requests_of(records: Sequence[Record]) -> Requests:
    """All requests, or the KEPT most telling ones, in the order in which they were sent."""
    pairs = list(of(records, RequestDone))
    kept = sorted(_most_telling(pairs), key=lambda pair: pair[1].started)
    tables: dict[str, dict[str, int]] = {
        name: {} for name in ("outcome", "load", "served_by", "model", "error")
    }

    def column(name: str) -> tuple[int, ...]:
        table = tables[name]
        return tuple(table.setdefault(str(getattr(e, name))[:300], len(table)) for _, e in kept)

    columns: dict[str, tuple[Any, ...]] = {
        "n": tuple(r.n for r, _ in kept),
        "id": tuple(e.id for _, e in kept),
        "started": tuple(round(e.started, 4) for _, e in kept),
        "took": tuple(round(e.ended - e.started, 4) for _, e in kept),
        "status": tuple(e.status or 0 for _, e in kept),
    }
    columns |= {name: column(name) for name in tables}
    return Requests(total=len(pairs), tables={k: tuple(v) for k, v in tables.items()}, columns=columns)


def _most_telling(pairs: Sequence[Pair]) -> Sequence[Pair]:
    if len(pairs) <= KEPT:
        return pairs
    bad = [pair for pair in pairs if pair[1].outcome != "ok"][:KEPT]
    fine = [pair for pair in pairs if pair[1].outcome == "ok"]
    room = KEPT - len(bad)
    return [*bad, *(fine[i] for i in np.linspace(0, len(fine) - 1, room, dtype=int))]
