"""Several processes with one table: whatever they do and however late they hear of it, they end up agreeing."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from system.registry import shared
from system.registry.bodies import ReplicaBody, ServiceBody
from system.registry.entries import Entry, replica_entry, service_entry
from system.registry.records import read_record, record_of
from system.registry.shared import Shared, Word
from system.registry.silence import Silence
from system.registry.table import Change, Table
from tests.system.registry.simulated import SERVICE


class Store:
    """What Redis does, in Python: takes words in, in one order, or refuses them."""

    def __init__(self) -> None:
        self.known: dict[str, Word] = {}
        self.taken: list[tuple[str, Word]] = []
        self.epoch = 0
        self.turn = 0
        self.earlier: dict[str, Word] = {}

    def remember(self) -> None:
        self.earlier = dict(self.known)

    def go_back(self) -> None:
        """A replica takes over that had not heard of everything, or an older file is read."""
        self.known, self.taken, self.turn = dict(self.earlier), [], self.turn + 1

    def lose_everything(self) -> None:
        self.known, self.taken, self.epoch, self.turn = {}, [], self.epoch + 1, self.turn + 1
        self.earlier = {}

    def write(self, sender: str, word: Word) -> Word | bool | None:
        """True if it was taken in, else what there is instead."""
        known = self.known.get(word.id)
        owner = known.lease_id if known else None
        refused = word.kind == "offer" and known is not None
        if word.kind in {"keep", "delete"} or (word.kind == "put" and word.reason != "registered"):
            refused = owner != word.lease_id
        if word.kind == "delete" and word.reason == "expired" and known and known.keeper != word.keeper:
            refused = True
        if refused:
            return known
        if word.kind == "delete":
            del self.known[word.id]
        else:
            record = word.record if word.kind != "keep" or known is None else known.record
            self.known[word.id] = replace(word, kind="put", record=record)
        self.taken.append((sender, word))
        return True


class Process:
    """One registry: its table, its time, and how far it has read."""

    def __init__(self, name: str, store: Store, ids: Iterator[int]) -> None:
        self.name = name
        self.time = 0.0
        self.read = 0
        self.flying: list[Word] = []
        self.connections: set[str] = set()
        self._epoch = self._turn = 0
        self.store = store
        self.table = Table(lambda: f"lease-{next(ids)}", self._changed, lambda *_: None, Silence(0))
        self.shared = Shared(self.table, name, lambda: None)

    def _changed(self, change: Change) -> None:
        self.shared.changed(change)

    def register(self, entry: Entry) -> None:
        lease = self.table.register(entry, self.time)
        self.connections |= {lease.id} if entry.kind == "replica" else set()
        self.shared.registered(entry, lease)

    def hang_up(self) -> None:
        """All connections here end; what they held ends with them, if it is still theirs."""
        for entry_id in list(self.table.entries):
            if self.table.leases.held(entry_id).id in self.connections:
                self.table.remove(entry_id, "disconnected")
        self.connections.clear()

    def beat(self, entry_id: str) -> None:
        if entry_id in self.table.entries:
            self.table.heartbeat(entry_id, self.time, None)
            self.shared.heard(entry_id, self.time)

    def remove(self, entry_id: str) -> None:
        if entry_id in self.table.entries:
            self.table.remove(entry_id, "unregistered")

    def drain(self, entry_id: str) -> None:
        if entry_id in self.table.entries:
            self.table.drain(entry_id, draining=True)

    def pass_time(self) -> None:
        self.time += 3
        self.table.advance(self.time)

    def take_off(self) -> None:
        self.flying += self.shared.take()

    def land(self) -> None:
        """What was under way arrives, and its answer comes back."""
        self._notice()
        words, self.flying = self.flying, []
        for word in words:
            taken = self.store.write(self.name, word)
            if not isinstance(taken, bool):
                self.shared.correct(word, taken, self.time)

    def crash_land(self) -> None:
        """What was under way does not arrive, and the connection is lost with it."""
        words, self.flying = self.flying, []
        self.shared.give_back(words)
        self.reload()

    def sync(self) -> None:
        self.land()
        self.take_off()
        self.land()
        self.hear(10_000)

    def _notice(self) -> None:
        if self._turn != self.store.turn:
            self.crash_land()

    def hear(self, number: int) -> None:
        self._notice()
        for sender, word in self.store.taken[self.read : self.read + number]:
            self.read += 1
            self.shared.listen(word, sender, self.time)

    def reload(self) -> None:
        self.read = len(self.store.taken)
        emptied, self._epoch, self._turn = self._epoch != self.store.epoch, self.store.epoch, self.store.turn
        for _ in self.shared.load(list(self.store.known.values()), self.time, emptied=emptied):
            pass

    def state(self) -> dict[str, tuple[str, str, bytes]]:
        return {
            entry.id: (self.table.leases.held(entry.id).id, self.shared.keepers[entry.id], record_of(entry))
            for entry in self.table.entries.values()
        }


def service(name: str, port: int) -> Entry:
    body = ServiceBody.model_validate({**SERVICE, "name": name, "port": port, "ttl": 5.0})
    return service_entry(body, "then", "", "")


def replica(name: str, port: int) -> Entry:
    body = {"replica_id": name, "endpoint": f"h:{port}", "capabilities": [{"model": "m"}]}
    return replica_entry(ReplicaBody.model_validate(body), "then", "", "")


NAMES = st.sampled_from("aaab")
STEPS = st.one_of(
    st.tuples(st.just("service"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("replica"), NAMES, st.integers(1, 3)),
    st.tuples(st.sampled_from(["beat", "remove", "drain"]), NAMES, st.none()),
    st.tuples(st.sampled_from(["take off", "land", "crash land", "time"]), st.none(), st.none()),
    st.tuples(st.sampled_from(["sync", "sync", "sync", "empty"]), st.none(), st.none()),
    st.tuples(st.sampled_from(["hang up", "remember", "go back"]), st.none(), st.none()),
    st.tuples(st.just("hear"), st.none(), st.integers(1, 3)),
)


def do(process: Process, what: str, name: Any, detail: Any) -> None:
    acts: dict[str, Callable[[], None]] = {
        "service": lambda: process.register(service(name, detail)),
        "replica": lambda: process.register(replica(name, detail)),
        "beat": lambda: process.beat(name),
        "remove": lambda: process.remove(name),
        "drain": lambda: process.drain(name),
        "take off": process.take_off,
        "land": process.land,
        "crash land": process.crash_land,
        "sync": process.sync,
        "empty": process.store.lose_everything,
        "remember": process.store.remember,
        "go back": process.store.go_back,
        "hang up": process.hang_up,
        "time": process.pass_time,
        "hear": lambda: process.hear(detail),
    }
    acts[what]()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), STEPS), max_size=40))
def test_all_agree_in_the_end(steps: list[tuple[int, tuple[str, Any, Any]]]) -> None:
    """After everything was sent and read, every table is the store's, lease ids and keepers included."""
    store, ids = Store(), itertools.count()
    processes = [Process(name, store, ids) for name in ("x", "y")]
    for number, step in steps:
        do(processes[number], *step)
    for _ in range(10):
        for process in processes:
            process.sync()
    wanted = {known.id: (known.lease_id, known.keeper, known.record) for known in store.known.values()}
    for process in processes:
        assert process.shared.waiting == 0
        assert process.state() == wanted


HUNG_UP_WHILE_REDIS_WAS_AWAY: Any = [
    (0, ("replica", "a", 1)),
    (0, ("sync", None, None)),
    (1, ("sync", None, None)),
    (0, ("empty", None, None)),
    (0, ("hang up", None, None)),
]


@settings(max_examples=400, deadline=None)
@example(HUNG_UP_WHILE_REDIS_WAS_AWAY, 0)
@example(HUNG_UP_WHILE_REDIS_WAS_AWAY, 100)
@given(st.lists(st.tuples(st.integers(0, 1), STEPS), max_size=40), st.sampled_from([0, 100]))
def test_no_connection_is_shared_that_there_is_not(
    steps: list[tuple[int, tuple[str, Any, Any]]], remembered: int
) -> None:
    """In the end every replica is connected where it is said to be, whatever the store lost or brought back."""
    store, ids = Store(), itertools.count()
    processes = {name: Process(name, store, ids) for name in ("x", "y")}
    with patch.object(shared, "REMEMBERED", remembered):
        for number, step in steps:
            do(processes["xy"[number]], *step)
        for _ in range(10):
            for process in processes.values():
                process.sync()
    for process in processes.values():
        for entry in process.table.entries.values():
            if entry.kind == "replica":
                keeper = processes[process.shared.keepers[entry.id]]
                assert process.table.leases.held(entry.id).id in keeper.connections


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), STEPS), max_size=40))
def test_only_a_keeper_lets_an_entry_expire(steps: list[tuple[int, tuple[str, Any, Any]]]) -> None:
    """Whoever does not keep an entry has no terms for it, so it cannot forget what lives elsewhere."""
    store, ids = Store(), itertools.count()
    processes = [Process(name, store, ids) for name in ("x", "y", "z")]
    for number, step in steps:
        do(processes[number], *step)
        for process in processes:
            for entry in process.table.entries.values():
                if process.shared.keepers[entry.id] != process.name:
                    assert process.table.leases.held(entry.id).terms is None


def test_a_record_is_read_as_it_was_written() -> None:
    """Nothing about an entry is lost on the way."""
    for entry in (service("a", 1), replica("b", 2)):
        assert read_record(record_of(entry)) == entry


def test_heartbeat_entries_of_a_process_that_is_gone_have_their_whole_time_again() -> None:
    """Connections go with their process; services may be heard of by anybody, and end if they are not."""
    store, ids = Store(), itertools.count()
    here, there = Process("here", store, ids), Process("there", store, ids)
    there.register(service("beats", 1))
    there.register(replica("hangs", 1))
    there.sync()
    here.hear(9)
    here.time = 100.0
    here.shared.gone({"there"}, here.time)
    assert set(here.table.entries) == {"beats"}
    here.pass_time()
    here.shared.gone({"there"}, here.time)
    assert set(here.table.entries) == {"beats"}
    here.pass_time()
    assert set(here.table.entries) == set()
    here.sync()
    assert store.known == {}


def test_what_came_and_went_before_it_was_sent_is_gone() -> None:
    """A registration and its end, both still unsent, also end what the store had from before."""
    store, ids = Store(), itertools.count()
    here = Process("here", store, ids)
    here.register(service("a", 1))
    here.sync()
    here.register(service("a", 2))
    here.remove("a")
    here.sync()
    assert store.known == {}
    assert here.table.entries == {}


def test_what_ended_while_the_store_lost_everything_stays_ended() -> None:
    """Others offer what they know to an empty store; who ended some of it says so again."""
    store, ids = Store(), itertools.count()
    here, there = Process("here", store, ids), Process("there", store, ids)
    for name in "ab":
        here.register(service(name, 1))
    here.sync()
    there.sync()
    store.lose_everything()
    here.remove("a")
    for process in (here, there) * 3:
        process.sync()
    assert set(here.table.entries) == set(there.table.entries) == set(store.known) == {"b"}


def test_a_keeper_that_heard_nothing_does_not_end_what_another_heard_of() -> None:
    """A heartbeat through another process that was taken in first beats the silence of the former keeper."""
    store, ids = Store(), itertools.count()
    former, keeper = Process("former", store, ids), Process("keeper", store, ids)
    former.register(service("a", 1))
    former.sync()
    keeper.sync()
    keeper.beat("a")
    keeper.take_off()
    keeper.land()
    former.pass_time()
    former.pass_time()
    assert set(former.table.entries) == set()
    former.sync()
    keeper.sync()
    assert set(former.table.entries) == set(keeper.table.entries) == {"a"}


def test_what_was_lost_under_way_comes_before_what_was_said_later() -> None:
    """A registration that did not arrive, and its end said meanwhile, arrive in this order."""
    store, ids = Store(), itertools.count()
    here = Process("here", store, ids)
    here.register(service("a", 1))
    here.take_off()
    here.remove("a")
    here.crash_land()
    here.sync()
    assert store.known == {}


def test_a_former_keeper_leaves_expiry_to_the_new_one() -> None:
    """Whoever reads that another process heard a heartbeat has no terms for the entry any more."""
    store, ids = Store(), itertools.count()
    former, keeper = Process("former", store, ids), Process("keeper", store, ids)
    former.register(service("a", 1))
    for process in (former, keeper):
        process.sync()
    keeper.beat("a")
    for process in (keeper, former):
        process.sync()
    assert former.table.leases.held("a").terms is None
    assert keeper.table.leases.held("a").terms is not None


def test_words_of_others_wait_for_every_word_of_ones_own() -> None:
    """Two registrations on their way: what another said before the second one is older than both."""
    store, ids = Store(), itertools.count()
    here, there = Process("here", store, ids), Process("there", store, ids)
    here.register(service("a", 1))
    here.sync()
    here.register(service("a", 2))
    here.take_off()
    there.register(service("a", 3))
    there.sync()
    here.register(service("a", 1))
    here.hear(9)
    assert here.table.entries["a"].port == 1
    here.land()
    here.hear(1)
    assert here.table.entries["a"].port == 1, "its second word is still to come"
    for process in (here, there):
        process.sync()
    assert here.state() == there.state()
    assert there.table.entries["a"].port == 1


def test_what_was_heard_is_not_said_again() -> None:
    """Two processes that tell one another what they were told would never be done."""
    store, ids = Store(), itertools.count()
    here, there = Process("here", store, ids), Process("there", store, ids)
    acts: list[Callable[[], None]] = [
        lambda: there.register(service("a", 1)),
        lambda: there.drain("a"),
        lambda: there.remove("a"),
    ]
    for act in acts:
        act()
        there.sync()
        here.sync()
        assert here.shared.waiting == 0
    assert here.table.entries == {}
