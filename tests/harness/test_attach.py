"""Whose statement counts for servers that already run."""

from dataclasses import replace

import pytest

from harness.attach import discovered_services, merge_listed, parse_attach
from harness.errors import ScenarioError
from harness.model import HostSpec, ServiceSpec, Topology
from harness.testing import HERE, service_spec

REGISTRY = service_spec("registry", speaks=("service_registry",), url="http://10.0.0.5:18000")
ROUTER = service_spec("router", speaks=("openai",), url="http://10.0.0.5:8000")


def sitter(letter: str, host: str, model: str) -> ServiceSpec:
    names = {f"babysitter-{letter}": (), f"babysitter-{letter}-server": (model,)}
    return service_spec(f"babysitter-{letter}", host, registers=names)


A, C = sitter("a", "server1", "model-1"), sitter("c", "server2", "model-1")
STATED = Topology(
    hosts=(
        HostSpec(name="server1", place=HERE, services=(REGISTRY, ROUTER, A)),
        HostSpec(name="server2", place=HERE, services=(C,)),
    ),
    stated_by="two-servers.yaml",
)


def entry(host: str, *models: str, parent: str = "") -> dict[str, object]:
    metadata = {"parent_service": parent} if parent else {}
    return {"url": f"http://{host}:8100", "host": host, "models": list(models), "metadata": metadata}


def facts(topology: Topology) -> dict[str, dict[str, tuple[str, ...]]]:
    return {s.name: dict(s.registers) for s in topology.services if s.registers}


def test_known_names_are_held_to_what_the_scenario_states() -> None:
    """C offers another model: the statement stays, so that the check can fail."""
    listed = {
        "babysitter-a-server": entry("10.0.0.5", "model-1"),
        "babysitter-c-server": entry("10.0.0.6", "model-9"),
    }
    topology = merge_listed(STATED, [REGISTRY, ROUTER], listed)
    assert topology.stated_by == "two-servers.yaml"
    assert facts(topology)["babysitter-c"]["babysitter-c-server"] == ("model-1",)


def test_a_stated_service_that_is_not_listed_is_missed() -> None:
    """Nobody registered C, and the scenario still expects it."""
    topology = merge_listed(STATED, [REGISTRY, ROUTER], {"babysitter-a-server": entry("10.0.0.5", "model-1")})
    assert "babysitter-c" in facts(topology)


def test_foreign_names_are_discovered() -> None:
    """None of the scenario's names is known: what is listed is what counts."""
    listed = {"x-server": entry("10.0.0.7", "m1", parent="x"), "x": entry("10.0.0.7")}
    topology = merge_listed(STATED, [REGISTRY, ROUTER], listed)
    assert facts(topology) == {"x": {"x": (), "x-server": ("m1",)}}
    assert topology.stated_by == "discovered at http://10.0.0.5:18000"
    assert topology.serving_at_least == 1


def test_a_third_server_is_added_to_the_stated_two() -> None:
    """More than the scenario states is judged as well."""
    listed = {"babysitter-a-server": entry("10.0.0.5", "model-1"), "extra": entry("10.0.0.9", "model-3")}
    topology = merge_listed(STATED, [REGISTRY, ROUTER], listed)
    assert facts(topology)["extra"] == {"extra": ("model-3",)}
    assert {host.address for host in topology.hosts} >= {"10.0.0.5", "10.0.0.9"}


def test_a_silent_registry_leaves_the_statement() -> None:
    """With nothing listed, the scenario's own topology is what fails to be found."""
    assert set(facts(merge_listed(STATED, [REGISTRY, ROUTER], {}))) == {"babysitter-a", "babysitter-c"}


def test_entries_of_one_parent_are_one_service() -> None:
    """A babysitter and its backend are one service with two names, at the backend's URL."""
    found = discovered_services({"b": entry("10.0.0.8"), "b-server": entry("10.0.0.8", "m", parent="b")})
    assert [(s.name, set(s.registers)) for s in found] == [("b", {"b", "b-server"})]
    assert found[0].url == "http://10.0.0.8:8100"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("10.0.0.5:8000",), "give an address alone"),
        (("http://10.0.0.5",), "give an address alone"),
        (("router=10.0.0.5:8000",), "write NAME=URL"),
        (("10.0.0.5", "10.0.0.6"), "two addresses"),
    ],
)
def test_a_mistaken_attach_says_how_to_write_it(values: tuple[str, ...], words: str) -> None:
    """Ports in addresses, URLs without names and second addresses are mistakes of usage."""
    with pytest.raises(ScenarioError, match=words):
        parse_attach(values)


def test_addresses_and_urls_are_told_apart() -> None:
    """An address for both fronts, a URL for one."""
    given = parse_attach(("10.0.0.5", "router=https://front.example:8443/"))
    assert (given.address, given.urls) == ("10.0.0.5", {"router": "https://front.example:8443"})


def test_stated_services_keep_what_reading_their_log_takes() -> None:
    """Attaching changes where a service is, not what is stated about it."""
    stated = replace(STATED, hosts=(HostSpec(name="server1", place=HERE, services=(REGISTRY, A)),))
    topology = merge_listed(stated, [REGISTRY], {"babysitter-a-server": entry("10.0.0.5", "model-1")})
    assert next(s for s in topology.services if s.name == "babysitter-a").registers == A.registers
