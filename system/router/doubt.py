"""What to make of services that a registry no longer lists. No I/O; the time comes in.

A registry that runs and drops a service means it. One that was away may have lost its memory: what it does
not list yet is kept for a while, so that a restarted registry does not empty the router. Probes and refused
connections still speak: a kept backend that is not there is not used.
"""

from collections.abc import Iterable

from system.router.entries import Entry


class LastWord:
    """One registry's list, with those it may only have forgotten."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._listed: dict[str, Entry] = {}
        self._doubtful: dict[str, tuple[Entry, float]] = {}

    def take(self, entries: Iterable[Entry], now: float, *, was_away: bool) -> list[Entry]:
        """The services to use, given the whole list of the registry."""
        listed = {entry.name: entry for entry in entries}
        if was_away or (not listed and len(self._listed) > 1):
            until = now + self._grace
            self._doubtful |= {name: (entry, until) for name, entry in self._listed.items()}
        self._doubtful = {
            name: (entry, until)
            for name, (entry, until) in self._doubtful.items()
            if until > now and name not in listed
        }
        self._listed = listed
        return [*listed.values(), *(entry for entry, _ in self._doubtful.values())]

    def is_news(self, entry: Entry) -> bool:
        """Whether it has registered since the registry was heard last."""
        listed = self._listed.get(entry.name)
        return listed is None or listed.registered != entry.registered

    def put(self, entry: Entry) -> None:
        """The registry says that this one is there."""
        self._listed[entry.name] = entry
        self._doubtful.pop(entry.name, None)

    def drop(self, name: str) -> None:
        """The registry says that this one is not there any more."""
        self._listed.pop(name, None)
        self._doubtful.pop(name, None)

    def given_up(self, now: float) -> list[str]:
        """Those that were kept long enough."""
        over = [name for name, (_, until) in self._doubtful.items() if until <= now]
        for name in over:
            del self._doubtful[name]
        return over
