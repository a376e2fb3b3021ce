"""What processes that have ended had counted: a counter of the router never goes backwards. Pure.

The parent keeps it: each process tells what it has counted so far, and whoever starts is told what all others
said last. Of a process that ended its counters stay; its gauges (what was on its way) end with it.
"""

from collections.abc import Iterable

import orjson

from system.router.sums import Labels, Sums, add

_COUNTS = b'"counts":'


class Told:
    """What each process said last, and the counters of those that are gone."""

    def __init__(self) -> None:
        self._last: dict[int, bytes] = {}
        self._departed = Sums({}, {})

    def hear(self, number: int, line: bytes) -> None:
        """A process has told something; only its counts are remembered."""
        if _COUNTS in line[:40]:
            self._last[number] = line

    def left(self, number: int) -> bytes:
        """A process has ended: what the others are to be told."""
        spoken = [_sums(line) for line in self._last.values()]
        last = self._last.pop(number, None)
        if last is not None:
            both = add([self._departed, _counters(_sums(last))])
            self._departed = _of_backends(both, _backends(spoken))
        return b'{"gone":%d,"departed":%b}\n' % (number, orjson.dumps(self._departed.as_json()))

    def welcome(self, number: int) -> bytes:
        """What a process must know before it answers anybody."""
        lines = [line for other, line in self._last.items() if other != number]
        departed = orjson.dumps(self._departed.as_json())
        return b"".join((*lines, b'{"welcome":%d,"departed":%b}\n' % (number, departed)))


def _sums(line: bytes) -> Sums:
    return Sums.from_json(orjson.loads(line)["counts"])


def _counters(sums: Sums) -> Sums:
    values = {name: of for name, of in sums.values.items() if name.endswith("_total")}
    return Sums(values, sums.histograms)


def _backends(spoken: Iterable[Sums]) -> set[str]:
    """The backends that some process still has: what was counted of others is of no use."""
    tables = [table for sums in spoken for part in (sums.values, sums.histograms) for table in part.values()]
    return {backend for table in tables for labels in table if (backend := _backend(labels))}


def _of_backends(sums: Sums, known: set[str]) -> Sums:
    def kept(labels: Labels) -> bool:
        backend = _backend(labels)
        return backend is None or backend in known

    return Sums(
        {name: {at: of[at] for at in of if kept(at)} for name, of in sums.values.items()},
        {name: {at: of[at] for at in of if kept(at)} for name, of in sums.histograms.items()},
    )


def _backend(labels: Labels) -> str | None:
    return dict(labels).get("backend")
