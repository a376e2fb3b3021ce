"""The table of backends, and what a registry's silence about a service means. No sockets, no clock."""

import time
from random import Random

import pytest

from system.breaker import State, Verdict
from system.router.doubt import LastWord
from system.router.entries import Entry, EntryError, read_entry, read_registry, read_static
from system.router.models import list_models
from system.router.policies.base import Options
from system.router.policies.round_robin import RoundRobin
from system.router.proxy import Proxy
from system.router.rules import Settings
from system.router.table import Table


def table() -> Table:
    return Table(lambda _: RoundRobin(Options(random=Random(1))))


def entry(name: str, *models: str, port: int = 1, registered: str = "") -> Entry:
    return Entry(name=name, host="h", port=port, models=models or ("m",), registered=registered)


def names(of: Table, model: str = "m") -> list[str]:
    return [backend.name for backend in of.groups[model].usable] if model in of.groups else []


def test_list_of_a_source_replaces_its_list_before() -> None:
    """What a source no longer names is left at once; what it names is used at once."""
    backends = table()
    backends.replace("r", [entry("a"), entry("b")])
    changes = backends.replace("r", [entry("b"), entry("c")])
    assert names(backends) == ["b", "c"]
    assert [backend.name for backend in changes.added] == ["c"]
    assert [backend.name for backend in changes.removed] == ["a"]


def test_service_that_two_sources_name_stays_until_neither_does() -> None:
    """Static services and registries mix; a name is one backend."""
    backends = table()
    backends.replace("static", [entry("a")])
    backends.replace("r", [entry("a"), entry("b")])
    backends.replace("r", [])
    assert names(backends) == ["a"]
    backends.replace("static", [])
    assert names(backends) == []


def test_counters_survive_an_update_of_the_same_address() -> None:
    """New models or metadata are the same backend; another address is another one."""
    backends = table()
    backends.replace("r", [entry("a")])
    first = backends.backends["a"]
    backends.replace("r", [entry("a", "m", "n")])
    assert backends.backends["a"] is first
    assert names(backends, "n") == ["a"]
    backends.replace("r", [entry("a", "n", port=2)])
    assert backends.backends["a"] is not first
    assert names(backends, "m") == []


def test_down_backend_is_out_of_every_model_until_there_is_evidence() -> None:
    """Being listed is no evidence; registering anew is."""
    backends = table()
    backends.replace("r", [entry("a", "m", "n"), entry("b", "m", "n")])
    backends.mark_down(backends.backends["a"], "refused", now=1.0)
    backends.replace("r", [entry("a", "m", "n"), entry("b", "m", "n")])
    assert (names(backends), names(backends, "n")) == (["b"], ["b"])
    changes = backends.replace("r", [entry("a", "m", "n", registered="later"), entry("b", "m", "n")])
    assert [backend.name for backend in changes.revived] == ["a"]
    assert sorted(names(backends)) == ["a", "b"]


def test_backend_that_registers_anew_starts_with_a_clean_sheet() -> None:
    """Its breaker was about the process before."""
    backends = table()
    backends.replace("r", [entry("a"), entry("b")])
    backend = backends.backends["a"]
    for _ in range(10):
        backend.breaker.record(backend.breaker.begin(0.0), Verdict.FAILURE, 0.0)
    backends.heed_breaker(backend, 0.0)
    assert names(backends) == ["b"]
    backends.replace("r", [entry("a", registered="later"), entry("b")])
    backends.heed_breaker(backend, 0.1)
    assert names(backends) == ["a", "b"]


def test_silent_backend_is_a_last_resort() -> None:
    """One that answers no probe is used where there is no other."""
    backends = table()
    backends.replace("r", [entry("a"), entry("b")])
    backends.mark_silent(backends.backends["a"], "silent")
    assert names(backends) == ["b"]
    backends.mark_down(backends.backends["b"], "refused", now=1.0)
    assert names(backends) == ["a"]


def test_model_that_was_served_once_is_known() -> None:
    """Its backends may be gone, but the model is not unknown."""
    backends = table()
    backends.replace("r", [entry("a")])
    backends.replace("r", [])
    assert backends.knows("m")
    assert not backends.knows("n")


def test_ten_thousand_backends_leave_nothing_behind() -> None:
    """Backends that came and went take no room, but for the bounded memory of models' names."""
    backends = table()
    for number in range(10_000):
        backends.replace("r", [entry(f"b{number}", f"m{number}")])
    backends.replace("r", [])
    assert (len(backends.backends), len(backends.groups), len(backends._once_known)) == (0, 0, 10_000)
    backends.replace("r", [entry("b", "one more")])
    backends.replace("r", [])
    assert len(backends._once_known) == 10_000


def test_proxy_forgets_backends_that_left() -> None:
    """Their connections, and what their breakers did, go with them: counters are not kept for names of the past."""
    proxy = Proxy(table(), settings=Settings())
    for number in range(100):
        proxy.changed(proxy.table.replace("r", [entry(f"b{number}")]))
        backend = proxy.table.backends[f"b{number}"]
        proxy.pool(backend)
        proxy.totals.transitions[backend.name, State.OPEN.value] += 1
    assert (len(proxy.totals.transitions), len(proxy._pools)) == (1, 1)
    proxy.changed(proxy.table.replace("r", []))
    assert (len(proxy.totals.transitions), len(proxy._pools)) == (0, 0)


def test_ten_thousand_backends_of_one_model_are_taken_at_once() -> None:
    """A large list costs in proportion to its length, not to its square."""
    backends = table()
    began = time.process_time()
    backends.replace("r", [entry(f"b{number}") for number in range(10_000)])
    backends.replace("r", [entry(f"b{number}") for number in range(5_000, 10_000)])
    assert len(names(backends)) == 5_000
    assert time.process_time() - began < 2.0


def test_models_are_listed_as_their_backend_describes_them() -> None:
    """Exactly the models that may be asked for, once each, sorted; described verbatim where that is known."""
    described = {"id": "z", "object": "model", "created": 7, "owned_by": "lab", "extra": [1]}
    services = [
        {"name": "a", "host": "h", "port": 1, "metadata": {"models": ["z"], "models_list": [described]}},
        {"name": "b", "host": "h", "port": 2, "metadata": {"models": ["z", "a"]}},
    ]
    backends = table()
    backends.replace("static", read_static(services)[0])
    assert list_models(backends) == {
        "object": "list",
        "data": [{"id": "a", "object": "model", "created": 0, "owned_by": "muster"}, described],
    }


def test_registry_that_was_away_is_not_believed_at_once() -> None:
    """After an outage a service that is not listed yet is kept for the grace, then left."""
    word = LastWord(10.0)
    word.take([entry("a"), entry("b")], 0.0, was_away=False)
    assert {one.name for one in word.take([entry("b")], 1.0, was_away=True)} == {"a", "b"}
    assert {one.name for one in word.take([entry("b")], 10.9, was_away=False)} == {"a", "b"}
    assert {one.name for one in word.take([entry("b")], 11.0, was_away=False)} == {"b"}


def test_registry_that_runs_is_believed_at_once() -> None:
    """A service that a running registry drops is left, unless everything vanishes at once."""
    word = LastWord(10.0)
    word.take([entry("a"), entry("b"), entry("c")], 0.0, was_away=False)
    assert {one.name for one in word.take([entry("b"), entry("c")], 1.0, was_away=False)} == {"b", "c"}
    assert {one.name for one in word.take([], 2.0, was_away=False)} == {"b", "c"}
    assert word.take([], 12.1, was_away=False) == []


def test_kept_service_that_is_listed_again_can_be_dropped() -> None:
    """Doubt ends when the registry knows the service again."""
    word = LastWord(10.0)
    word.take([entry("a")], 0.0, was_away=False)
    word.take([], 1.0, was_away=True)
    word.take([entry("a")], 2.0, was_away=False)
    assert word.take([], 3.0, was_away=False) == []


def test_only_openai_services_of_a_registry_are_used() -> None:
    """Babysitters and others are listed beside them."""
    document = {
        "services": [
            {"name": "a", "host": "h", "port": 1, "metadata": {"type": "command"}},
            {
                "name": "ill-server",
                "host": "h",
                "port": 2,
                "is_healthy": False,
                "metadata": {"type": "openai-api"},
            },
            {"name": "a-server", "host": "h", "port": 2, "metadata": {"type": "openai-api", "models": ["m"]}},
            {"name": "odd"},
            None,
        ]
    }
    entries, complaints = read_registry(document)
    assert [one.name for one in entries] == ["a-server"]
    assert complaints == []


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (7, "must be an object"),
        ({"host": "h", "port": 1}, "has no name"),
        ({"name": "a", "port": 1}, "no usable host"),
        ({"name": "a", "host": "h h", "port": 1}, "no usable host"),
        ({"name": "a", "host": "h", "port": "1"}, "port must be a number"),
        ({"name": "a", "host": "h", "port": 70000}, "port must be a number"),
        ({"name": "a", "host": "h", "port": 1, "url": "ftp://h:1"}, "must be http or https"),
        ({"name": "a", "host": "h", "port": 1, "metadata": []}, "metadata must be an object"),
        ({"name": "a", "host": "h", "port": 1, "weight": -1}, "weight must be"),
    ],
)
def test_service_that_cannot_be_used_says_why(service: object, words: str) -> None:
    """One service that is wrong is named and left out; it does not spoil the list."""
    with pytest.raises(EntryError, match=words):
        read_entry(service)
    good = {"name": "good", "host": "h", "port": 1}
    entries, complaints = read_static([service, good])
    assert entries[-1].name == "good"
    assert len(entries) + len(complaints) == 2


def test_address_is_read_from_the_url_where_there_is_one() -> None:
    """A registered url wins over host and port; without one they say it."""
    named = {"name": "a", "host": "h", "port": 1}
    assert read_entry({**named, "url": "https://other:8443/"}).url == "https://other:8443"
    assert read_entry(named).url == "http://h:1"
    assert read_entry({**named, "host": "::1"}).babysitter_url == "http://[::1]:2"
