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
        """The services to use, given what the registry lists now."""
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

    @property
    def doubtful(self) -> list[str]:
        return list(self._doubtful)
