"""Mass expiry: what is held, for how long, and what is not."""

from collections.abc import Iterator
from typing import Any

import pytest

from system.registry.context import Limits
from tests.system.registry.simulated import Registry

HOLD = 30.0


@pytest.fixture
def holding() -> Iterator[Registry]:
    made = Registry(limits=Limits(body=10_000, entries_per_caller=99, kept=100_000, hold=HOLD))
    yield made
    made.close()


def register(registry: Registry, *names: str, model: str = "m", **fields: Any) -> None:
    for name in names:
        assert (
            registry.register(name=name, **{"metadata": {"models": [model]}, "ttl": 4, **fields}).status_code
            == 201
        )


def renew(registry: Registry, *names: str) -> None:
    for name in names:
        assert registry.call("POST", f"/services/{name}/heartbeat").status_code == 200


def suspects(registry: Registry) -> list[str]:
    services = registry.call("GET", "/services").json()["services"]
    return [service["name"] for service in services if service.get("suspect")]


def test_holds_the_last_known_set_when_most_of_a_capability_falls_silent(holding: Registry) -> None:
    """All three of a model silent at once: they are served, flagged, for the bounded time, and then gone."""
    register(holding, "a", "b", "c")
    holding.pass_time(4)
    assert sorted(suspects(holding)) == ["a", "b", "c"]
    assert holding.call("GET", "/route?model=m").status_code == 200
    assert "registry_suspects 3\n" in holding.call("GET", "/metrics").text
    holding.pass_time(HOLD - 1)
    assert len(holding.names("?healthy=true")) == 3
    holding.pass_time(1)
    assert holding.names() == []
    assert "registry_suspects 0\n" in holding.call("GET", "/metrics").text


def test_holds_also_those_that_went_first(holding: Registry) -> None:
    """Whoever fell silent earlier within the window comes back as a suspect with the one that shows the pattern."""
    register(holding, "a")
    holding.pass_time(1)
    register(holding, "b")
    holding.pass_time(1)
    register(holding, "c")
    holding.pass_time(3)
    assert holding.names() == ["c"]
    holding.pass_time(1)
    assert sorted(suspects(holding)) == ["a", "b", "c"]


def test_believes_a_few_deaths(holding: Registry) -> None:
    """Two are too few, and three of seven are not most: they are removed as ever."""
    register(holding, "a", "b", model="small")
    register(holding, "c", "d", "e", "f", "g", "h", "i", model="large")
    holding.pass_time(2)
    renew(holding, *"fghi")
    holding.pass_time(2)
    assert holding.names() == ["f", "g", "h", "i"]
    assert suspects(holding) == []


def test_believes_deaths_far_apart(holding: Registry) -> None:
    """Silences that do not fall into one window are deaths, one by one."""
    for name in "abcd":
        register(holding, name)
        holding.pass_time(8)
    assert holding.names() == []


@pytest.mark.parametrize("end", ["unregister", "drain", "status"])
def test_believes_what_was_announced(holding: Registry, end: str) -> None:
    """Who unregisters, drains or says that it is not running does not count as silent."""
    register(holding, "a", "b", "c")
    for name in "ab":
        if end == "unregister":
            holding.call("DELETE", f"/services/{name}")
        elif end == "drain":
            holding.call("POST", f"/services/{name}/drain")
        else:
            holding.call("POST", f"/services/{name}/heartbeat", {"status": "stopping"})
    holding.pass_time(4)
    assert holding.names() == []


def test_a_suspect_that_is_heard_of_is_trusted_again_on_its_old_terms(holding: Registry) -> None:
    """A heartbeat, with the lease id it always had, ends the suspicion; its ttl is the one it registered with."""
    register(holding, "b", "c")
    lease = holding.register(name="a", metadata={"models": ["m"]}, ttl=4).json()["lease_id"]
    holding.pass_time(20)
    assert holding.call("POST", "/services/a/heartbeat", {"lease_id": lease}).status_code == 200
    assert sorted(suspects(holding)) == ["b", "c"]
    holding.pass_time(3)
    assert "a" in holding.names()
    holding.pass_time(1)
    assert "a" in suspects(holding), "most of the capability is silent again"


def test_a_suspect_that_registers_anew_is_trusted(holding: Registry) -> None:
    """A new registration owns the id; the end of the hold does not touch it."""
    register(holding, "a", "b", "c")
    holding.pass_time(4)
    register(holding, "a", ttl=100)
    assert sorted(suspects(holding)) == ["b", "c"]
    holding.pass_time(HOLD)
    assert holding.names() == ["a"]


def test_does_not_bring_back_an_id_that_somebody_else_has(holding: Registry) -> None:
    """Whoever registered an id after it fell silent keeps it."""
    register(holding, "a")
    holding.pass_time(2)
    register(holding, "b", "c")
    holding.pass_time(2)
    register(holding, "a", model="other", ttl=100)
    holding.pass_time(2)
    assert holding.call("GET", "/services/a").json()["metadata"] == {"models": ["other"]}
    assert "a" not in suspects(holding)


def test_holds_at_the_contracts_first_instant_too(holding: Registry) -> None:
    """Without a ttl, silence shows after 120 s: then they are held, then unhealthy, then removed."""
    register(holding, "a", "b", "c", ttl=None)
    holding.pass_time(120)
    assert len(suspects(holding)) == 3
    assert len(holding.names("?healthy=true")) == 3
    holding.pass_time(HOLD)
    assert suspects(holding) == []
    assert holding.names("?healthy=true") == []
    assert len(holding.names()) == 3
    holding.pass_time(180)
    assert holding.names() == []


def test_holds_nobody_when_told_so() -> None:
    """`--hold-suspects 0` switches it off."""
    plain = Registry(limits=Limits(body=10_000, entries_per_caller=99, kept=100_000, hold=0))
    register(plain, "a", "b", "c", "d")
    plain.pass_time(4)
    assert plain.names() == []
    plain.close()


def test_remembers_only_the_window(holding: Registry) -> None:
    """Endless single deaths leave nothing behind."""
    for number in range(100):
        register(holding, f"s{number}", model=f"m{number}")
        holding.pass_time(5)
    silence = holding.context.live.table.silence
    assert len(silence._fallen) <= 3
    assert len(silence._fallen_of) <= 3
