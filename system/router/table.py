"""The backends by name and by model, from every source that names them. No I/O; time comes in.

A backend is in use from the moment a source names it until none does, or until it is found down. Down is
revised by evidence only: the service registers anew, or a probe of the backend itself succeeds.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from system.breaker import BreakerSettings
from system.router.backends import Backend
from system.router.entries import Entry
from system.router.policies.base import Policy
from system.router.waiting import WaitingRoom

REMEMBERED_MODELS = 10_000


class Group:
    """The backends that serve one model, and the policy that chooses among them."""

    __slots__ = ("ejectable", "members", "model", "panics", "policy", "usable", "waiting")

    def __init__(self, model: str, policy: Policy, ejectable: float) -> None:
        self.model = model
        self.policy = policy
        self.ejectable = ejectable
        self.members: dict[str, Backend] = {}
        self.usable: list[Backend] = []
        self.panics = False  # more breakers are open than may be minded
        self.waiting: WaitingRoom[Any] = WaitingRoom()

    def refresh(self) -> None:
        """Work out who may be used.

        Who is not there is not. Who is silent is where nobody else answers. Of those whose breaker is open
        only a share is left, the longest open first: when most fail, failing is not their own fault.
        """
        there = [backend for backend in self.members.values() if backend.down_since is None]
        answering = [backend for backend in there if not backend.silent] or there
        blocked = [backend for backend in answering if backend.blocked]
        self.panics = False
        if blocked:
            most = int(self.ejectable * len(answering))
            self.panics = len(blocked) > most
            blocked = sorted(blocked, key=lambda backend: backend.breaker.opened_at)[:most]
            answering = [backend for backend in answering if backend not in blocked]
        self.usable = answering


@dataclass(frozen=True, slots=True)
class Changes:
    """What an update changed: backends that came, and backends that nobody names any more."""

    added: Sequence[Backend] = ()
    removed: Sequence[Backend] = ()
    revived: Sequence[Backend] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.revived)


class Table:
    """Everything the router may route to. `version` changes with every change that a client could see."""

    def __init__(
        self,
        new_policy: Callable[[str], Policy],
        *,
        breaker: BreakerSettings = BreakerSettings(),  # noqa: B008 - frozen
        ejectable: float = 0.5,
    ) -> None:
        self.backends: dict[str, Backend] = {}
        self.groups: dict[str, Group] = {}
        self.version = 0
        self.everyone = Group("*", new_policy("*"), ejectable)  # for requests that name no model
        self._stale: set[Group] = set()  # groups whose members changed in the update under way
        self._new_policy = new_policy
        self._breaker = breaker
        self._ejectable = ejectable
        self._sources: dict[str, dict[str, Entry]] = {}
        self._once_known: OrderedDict[str, None] = OrderedDict()

    def knows(self, model: str) -> bool:
        """Whether some backend serves the model, or did earlier: then it is missing, not unknown."""
        return model in self.groups or model in self._once_known

    def replace(self, source: str, entries: Iterable[Entry]) -> Changes:
        """Take a source's whole list; what it no longer names is left at once unless another source does."""
        before = self._sources.get(source, {})
        after = {entry.name: entry for entry in entries}
        gone = [name for name in before if name not in after]
        return self.update(
            source, [entry for entry in after.values() if before.get(entry.name) != entry], gone
        )

    def update(self, source: str, put: Iterable[Entry], drop: Iterable[str]) -> Changes:
        """Take a source's changes. Sources that were heard of earlier win where two name one service."""
        entries = self._sources.setdefault(source, {})
        put = list(put)
        entries.update((entry.name, entry) for entry in put)
        dropped = [name for name in drop if entries.pop(name, None)]
        added: list[Backend] = []
        removed: list[Backend] = []
        revived: list[Backend] = []
        for name in dict.fromkeys([*(entry.name for entry in put), *dropped]):
            self._settle(name, added, removed, revived)
        for group in self._stale:
            group.refresh()
        self._stale.clear()
        self.version += 1
        return Changes(added, removed, revived)

    def mark_down(self, backend: Backend, reason: str, now: float) -> bool:
        """Leave a backend at once; returns whether it was in use until now."""
        if self.backends.get(backend.name) is not backend or backend.down_since is not None:
            return False
        backend.down_since, backend.reason = now, reason
        self._refresh(backend)
        return True

    def mark_silent(self, backend: Backend, reason: str) -> bool:
        """Use a backend only where there is no other; returns whether it was trusted until now."""
        if self.backends.get(backend.name) is not backend or not backend.healthy:
            return False
        backend.silent, backend.reason = True, reason
        self._refresh(backend)
        return True

    def mark_up(self, backend: Backend) -> bool:
        """Use a backend again; returns whether it was not healthy until now."""
        if self.backends.get(backend.name) is not backend or backend.healthy:
            return False
        backend.down_since, backend.silent, backend.reason = None, False, ""
        self._refresh(backend)
        return True

    def heed_breaker(self, backend: Backend, now: float) -> bool:
        """Follow a backend's breaker; returns whether it now says something else."""
        blocked = not backend.breaker.permits(now)
        if blocked is backend.blocked:
            return False
        backend.blocked = blocked
        self._refresh(backend)
        return True

    def _settle(
        self, name: str, added: list[Backend], removed: list[Backend], revived: list[Backend]
    ) -> None:
        """Make one backend what the first source that names it says."""
        entry = next((entries[name] for entries in self._sources.values() if name in entries), None)
        known = self.backends.get(name)
        if known and (entry is None or entry.url != known.entry.url):
            self._leave_groups(known)
            del self.backends[name]
            self.everyone.members.pop(name, None)
            self._stale.add(self.everyone)
            removed.append(known)
            known = None
        if entry is None:
            return
        if known is None:
            known = self.backends[name] = Backend(entry, self._breaker)
            added.append(known)
        elif self._registered_anew(known, entry):
            revived.append(known)
        self._join_groups(known, entry)

    def _registered_anew(self, known: Backend, entry: Entry) -> bool:
        if entry.registered == known.entry.registered:
            return False
        known.breaker.reset()
        known.blocked = False
        return self.mark_up(known)

    def _join_groups(self, backend: Backend, entry: Entry) -> None:
        for model in backend.entry.models:
            if model not in entry.models:
                self._leave(model, backend)
        backend.entry = entry
        self._join(self.everyone, backend)
        for model in entry.models:
            group = self.groups.get(model)
            if group is None:
                group = self.groups[model] = Group(model, self._new_policy(model), self._ejectable)
            self._join(group, backend)

    def _join(self, group: Group, backend: Backend) -> None:
        group.members[backend.name] = backend
        self._stale.add(group)

    def _leave_groups(self, backend: Backend) -> None:
        for model in backend.entry.models:
            self._leave(model, backend)

    def _leave(self, model: str, backend: Backend) -> None:
        group = self.groups.get(model)
        if group is None or group.members.pop(backend.name, None) is None:
            return
        self._stale.add(group)
        if not group.members:
            del self.groups[model]
            self._remember(model)

    def _remember(self, model: str) -> None:
        self._once_known[model] = None
        self._once_known.move_to_end(model)
        if len(self._once_known) > REMEMBERED_MODELS:
            self._once_known.popitem(last=False)

    def _refresh(self, backend: Backend) -> None:
        self.version += 1
        self.everyone.refresh()
        for model in backend.entry.models:
            if model in self.groups:
                self.groups[model].refresh()
