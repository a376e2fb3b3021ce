"""Leases: who holds a key, for how long, and what has fallen due. Decides only; time and ids come in.

A lease belongs to one registration. Whoever was granted a key last owns it: an id of an older lease neither
renews nor releases the newer one. Renewing costs no more than storing a number; the heap holds one entry per
lease and is corrected when it comes to the top.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

STALL_GRACE = 1.0  # seconds that holders get on top, to be heard after this process itself stood still
SPARE_HEAP = 64


class LeaseError(Exception):
    """A lease that cannot be renewed or released."""


class UnknownKey(LeaseError):
    """Nobody holds the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"nobody holds {key!r}")


class NotOwner(LeaseError):
    """Somebody else holds the key now."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} has been registered anew: this lease id no longer owns it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a holder promises: to renew before `unhealthy` seconds, at the latest before `removed` seconds."""

    unhealthy: float
    removed: float

    @classmethod
    def ttl(cls, seconds: float) -> "Terms":
        """Unhealthy and removed at the same instant."""
        return cls(unhealthy=seconds, removed=seconds)


@dataclass(slots=True, eq=False)
class Lease:
    """A key in somebody's hands. Without terms it lasts until it is released."""

    key: str
    id: str
    terms: Terms | None
    renewed: float
    overdue: bool = False

    def fresh(self, now: float) -> bool:
        """Whether the holder has kept its promise so far."""
        return self.terms is None or now < self.renewed + self.terms.unhealthy

    def next_due(self) -> float:
        """The instant at which something happens unless it is renewed; only for leases with terms."""
        assert self.terms is not None, "a lease without terms is never due"
        return self.renewed + (self.terms.removed if self.overdue else self.terms.unhealthy)


@dataclass(frozen=True, slots=True)
class Due:
    """A lease whose holder is silent: whether it is over or only unhealthy, and whether this is news."""

    lease: Lease
    removed: bool
    first: bool


class Leases:
    """The table of leases, and the order in which they fall due."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._held: dict[str, Lease] = {}
        self._heap: list[tuple[float, int, Lease]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._held)

    def grant(self, key: str, terms: Terms | None, now: float, lease_id: str | None = None) -> Lease:
        """Give the key to a new holder; whoever held it before no longer does."""
        lease = self._held[key] = Lease(key, lease_id or self._new_id(), terms, now)
        self._push(lease)
        return lease

    def held(self, key: str, lease_id: str | None = None) -> Lease:
        """The lease of the key, if it is the one that `lease_id` names (None names whichever there is)."""
        lease = self._held.get(key)
        if lease is None:
            raise UnknownKey(key)
        if lease_id is not None and lease.id != lease_id:
            raise NotOwner(key)
        return lease

    def owner(self, key: str) -> str | None:
        """The id of the lease of the key, or None while nobody holds it."""
        lease = self._held.get(key)
        return None if lease is None else lease.id

    def renew(self, key: str, now: float, lease_id: str | None = None) -> bool:
        """Keep the key; returns whether the holder had been overdue and is back."""
        lease = self.held(key, lease_id)
        lease.renewed = max(lease.renewed, now)
        if not lease.overdue:
            return False
        lease.overdue = False
        self._push(lease)
        return True

    def change_terms(self, key: str, terms: Terms | None, now: float) -> None:
        """The holder makes another promise, from now on."""
        lease = self.held(key)
        lease.terms, lease.renewed, lease.overdue = terms, now, False
        self._push(lease)

    def release(self, key: str, lease_id: str | None = None) -> Lease:
        """The holder lets go."""
        lease = self.held(key, lease_id)
        del self._held[key]
        return lease

    def excuse(self, stood_still: float, now: float) -> None:
        """This process stood still and heard nobody: the time it missed counts against no one."""
        for lease in self._held.values():
            lease.renewed = min(now, lease.renewed + stood_still + STALL_GRACE)

    def next_due(self) -> float | None:
        """The next instant at which `due` has something to say, or None while nothing can fall due."""
        self._settle()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Due]:
        """What has fallen due by `now`, in order. A removed lease is no longer in the table."""
        while (instant := self.next_due()) is not None and instant <= now:
            _, _, lease = heapq.heappop(self._heap)
            assert lease.terms is not None
            removed = lease.renewed + lease.terms.removed <= now
            first, lease.overdue = not lease.overdue, True
            if removed:
                del self._held[lease.key]
            else:
                self._push(lease)
            yield Due(lease, removed, first)

    def _push(self, lease: Lease) -> None:
        if lease.terms is None:
            return
        self._serial += 1
        heapq.heappush(self._heap, (lease.next_due(), self._serial, lease))
        if len(self._heap) > 2 * len(self._held) + SPARE_HEAP:
            self._rebuild()

    def _rebuild(self) -> None:
        """Drop what older registrations and renewals left behind: memory follows the number of leases."""
        self._heap = [
            (lease.next_due(), serial, lease)
            for serial, lease in enumerate(self._held.values())
            if lease.terms is not None
        ]
        self._serial = len(self._heap)
        heapq.heapify(self._heap)

    def _settle(self) -> None:
        """Bring the top of the heap in line with renewals, replacements and releases."""
        while self._heap:
            instant, _, lease = self._heap[0]
            if self._held.get(lease.key) is not lease or lease.terms is None:
                heapq.heappop(self._heap)
            elif (due := lease.next_due()) > instant:
                heapq.heapreplace(self._heap, (due, self._heap[0][1], lease))
            else:
                return
