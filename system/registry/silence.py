"""Mass expiry: when most of a capability falls silent at once, our own network is the likelier cause.

Decides only. An entry that falls silent (its heartbeats stop, or its connection dies without a word) is noted
under what it can do. When three or more of a capability, and more than half of it, have fallen silent within
the window, all of them are to be held: served as suspects for a bounded time. Who closes, unregisters or
drains did not fall silent.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from system.leases import Lease
from system.registry.entries import Entry
from system.registry.matching import Atom

WINDOW = 10.0
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Fallen:
    """Who fell silent, with the lease it had, and when."""

    entry: Entry
    lease: Lease
    at: float
    groups: frozenset[Atom]


class Silence:
    """Who fell silent lately, and who is held because of it."""

    def __init__(self, hold: float, window: float = WINDOW) -> None:
        """`hold` is for how long suspects are served; 0 for never."""
        self.hold = hold
        self._window = window
        self._fallen: dict[str, Fallen] = {}
        self._suspects: dict[str, Fallen] = {}
        self._fallen_of: dict[Atom, set[str]] = {}
        self._suspects_of: dict[Atom, set[str]] = {}

    def __len__(self) -> int:
        return len(self._suspects)

    def fell(self, entry: Entry, lease: Lease, now: float, present: Callable[[Atom], int]) -> list[Fallen]:
        """Note a silence; returns who is to be held for it, this one included, or nobody.

        `present` says how many entries with an atom are routed to, this one and the suspects included.
        """
        if not self.hold:
            return []
        self._forget_before(now - self._window)
        fallen = Fallen(entry, lease, now, groups_of(entry))
        self._fallen[entry.id] = fallen
        _enter(self._fallen_of, fallen)
        crowds = [group for group in fallen.groups if self._is_most(group, present(group))]
        names = {name: None for group in crowds for name in self._fallen_of[group]}
        return [self._suspect(self._fallen[name]) for name in names]

    def back(self, entry_id: str) -> None:
        """It was heard of again, or is gone for good: no suspect, and not silent either."""
        for kept, by_group in ((self._suspects, self._suspects_of), (self._fallen, self._fallen_of)):
            known = kept.pop(entry_id, None)
            if known is not None:
                _leave(by_group, known)

    def _is_most(self, group: Atom, present: int) -> bool:
        suspects = len(self._suspects_of.get(group, ()))
        silent = suspects + len(self._fallen_of[group])
        alive = present - suspects - 1
        return silent >= FEWEST and silent > alive

    def _suspect(self, fallen: Fallen) -> Fallen:
        self.back(fallen.entry.id)
        self._suspects[fallen.entry.id] = fallen
        _enter(self._suspects_of, fallen)
        return fallen

    def _forget_before(self, instant: float) -> None:
        for fallen in list(_until(self._fallen.values(), instant)):
            del self._fallen[fallen.entry.id]
            _leave(self._fallen_of, fallen)


def groups_of(entry: Entry) -> frozenset[Atom]:
    """What an entry is one of many for: its models, or where it has none everything it says it can do."""
    atoms = {atom for offered in entry.offers for atom in offered}
    models = frozenset(atom for atom in atoms if atom[0] == "model")
    return models or frozenset(atoms)


def _until(fallen: Iterable[Fallen], instant: float) -> Iterator[Fallen]:
    """Those up to an instant; they are noted in the order in which they fell."""
    for one in fallen:
        if one.at > instant:
            return
        yield one


def _enter(by_group: dict[Atom, set[str]], fallen: Fallen) -> None:
    for group in fallen.groups:
        by_group.setdefault(group, set()).add(fallen.entry.id)


def _leave(by_group: dict[Atom, set[str]], fallen: Fallen) -> None:
    for group in fallen.groups:
        names = by_group.get(group, set())
        names.discard(fallen.entry.id)
        if not names:
            by_group.pop(group, None)
