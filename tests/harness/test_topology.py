"""Topologies: services from kinds and without, what they may refer to, what they become when addresses are known."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.facts import facts_of
from harness.model import Ready, Resources, ServedBy, ServiceSpec, Topology
from harness.references import resolve_service
from harness.topology import load_topology, read_inventory

SHIPPED = Path(__file__).parents[2] / "scenarios" / "topologies" / "two-servers.yaml"
ADDRESSES = {"server1": "127.0.0.2", "server2": "127.0.0.3", "h1": "127.0.0.4"}
KIND = """\
kind: thing
about: A thing.
options:
  port: {type: port, default: 1000}
  names: {type: list, default: ["{name}"]}
  delay: {type: duration, default: 250ms}
  inner: {type: service}
command: [thing, "{port}", "{names}", "{delay}"]
env: {A: "1", B: "2"}
ports: ["{port}", "{port+1}"]
url: "http://{host.address}:{port}"
registers: {"{name}-x": "{names}"}
"""


def topology(folder: Path, text: str, **kinds: str) -> Topology:
    """A topology file, and kinds beside it."""
    (folder / "kinds").mkdir()
    for name, kind in {"thing": KIND, **kinds}.items():
        (folder / "kinds" / f"{name}.yaml").write_text(kind, encoding="utf-8")
    path = folder / "t.yaml"
    path.write_text(text, encoding="utf-8")
    return load_topology(path, {"TOKEN": "s{e}cret"})


def service(folder: Path, text: str) -> ServiceSpec:
    """The only service, its addresses filled in."""
    (spec,) = topology(folder, f"hosts:\n  h1:\n    s: {text}\n").services
    return resolve_service(spec, ADDRESSES)


def test_the_shipped_topology_is_the_seeds_two_servers() -> None:
    """Ports, names, models and dependencies of the two-server set, nothing left to fill in."""
    found = {s.name: resolve_service(s, ADDRESSES) for s in load_topology(SHIPPED, {}).services}
    assert {name: spec.ports for name, spec in found.items()} == {
        "registry": (18000,),
        "router": (8000,),
        "babysitter-a": (8100, 8101),
        "babysitter-b": (8200, 8201),
        "babysitter-c": (8100, 8101),
        "babysitter-d": (8200, 8201),
    }
    d = found["babysitter-d"]
    assert (d.host, d.url, d.child) == ("server2", "http://127.0.0.3:8200", "backend")
    assert d.ready == Ready(http="http://127.0.0.3:8201/ready")
    assert d.registers == {"babysitter-d": (), "babysitter-d-server": ("model-2",)}
    assert d.answers_as == ("mock-service-d",)
    assert found["router"].served_by == ServedBy(header="x-muster-backend")
    assert "http://127.0.0.2:18000" in found["router"].command


def test_a_babysitters_file_is_what_its_program_reads() -> None:
    """The file is valid TOML with the addresses of its host and of the registry."""
    spec = next(s for s in load_topology(SHIPPED, {}).services if s.name == "babysitter-c")
    told = tomllib.loads(resolve_service(spec, ADDRESSES).files["babysitter.toml"])
    assert (told["name"], told["host"], told["port"]) == ("babysitter-c", "127.0.0.3", 8100)
    assert told["registry_url"] == "http://127.0.0.2:18000"
    assert told["backend"]["command"] == "muster-mock"
    args = told["backend"]["args"]
    assert args[args.index("--host") :][:6] == [
        "--host",
        "127.0.0.3",
        "--port",
        "8100",
        "--models",
        "model-1",
    ]
    assert told["metadata"] == {"weight": 1, "cache_type": ""}


def test_what_a_topology_states() -> None:
    """Names to be registered, models, and who offers them, in the file's order."""
    facts = facts_of(load_topology(SHIPPED, {}))
    assert facts.models() == ("model-1", "model-2")
    assert facts.offering("model-1") == ("babysitter-a-server", "babysitter-c-server")
    assert [s.name for s in facts.speaking("service_registry")] == ["registry"]
    assert facts.stated_by.endswith("two-servers.yaml")


def test_defaults_and_references_of_a_kind(tmp_path: Path) -> None:
    """Defaults may refer to the service itself; lists and durations become text in a command."""
    spec = service(tmp_path, "{kind: thing}")
    assert spec.command == ("thing", "1000", "s", "0.25")
    assert (spec.ports, spec.url) == ((1000, 1001), "http://127.0.0.4:1000")
    assert spec.registers == {"s-x": ("s",)}
    assert spec.options == {"port": 1000, "names": ("s",), "delay": 0.25, "inner": None}


def test_a_service_may_add_to_its_kind(tmp_path: Path) -> None:
    """Fields stated beside the options take the place of the kind's; mappings are merged."""
    spec = service(
        tmp_path, "{kind: thing, env: {B: 3, C: '{host.address}'}, command: other, stop_within: 2s}"
    )
    assert spec.env == {"A": "1", "B": "3", "C": "127.0.0.4"}
    assert (spec.command, spec.stop_within) == (("other",), 2.0)


def test_a_service_without_a_kind(tmp_path: Path) -> None:
    """All fields can be stated in place; a command may be a line of text, with numbers in it."""
    text = (
        "{command: 'python -m app --name \"my app\"', image: 'x:1', ports: [9000], after: [], url: 'http://{host.address}:9000',"
        " files: {a.txt: '{{x}} {name}'}, resources: {memory: 512M, cpus: 1}, ready: {tcp: 9000, within: 3s}}"
    )
    spec = service(tmp_path, text)
    assert spec.command == ("python", "-m", "app", "--name", "my app")
    assert spec.files == {"a.txt": "{x} s"}
    assert spec.resources == Resources(memory=512 * 2**20, cpus=1.0)
    assert spec.ready == Ready(tcp=9000, within=3.0)


def test_numbers_in_a_command_are_words(tmp_path: Path) -> None:
    """`--port 8000` needs no quotes."""
    assert service(tmp_path, "{command: [serve, --port, 8000, --ratio, 0.5]}").command == (
        "serve",
        "--port",
        "8000",
        "--ratio",
        "0.5",
    )


def test_a_secret_from_the_environment(tmp_path: Path) -> None:
    """A variable's text arrives as it is, braces included."""
    assert service(tmp_path, "{command: [a], env: {T: 'Bearer {env.TOKEN}'}}").env == {"T": "Bearer s{e}cret"}


def test_services_refer_to_each_other_in_any_order(tmp_path: Path) -> None:
    """A service may name one that comes later, its options and its URL."""
    text = "hosts:\n  h1:\n    a: {command: ['{b.url}', '{b.port+5}', '{b.names}', '{h1.address}']}\n    b: {kind: thing}\n"
    found = resolve_service(topology(tmp_path, text).services[0], ADDRESSES)
    assert found.command == ("http://127.0.0.4:1000", "1005", "b", "127.0.0.4")


def test_a_nested_service_has_its_parents_host_and_port(tmp_path: Path) -> None:
    """A child is a service of its own kind; its port is its parent's unless it says otherwise."""
    outer = (
        "kind: outer\noptions: {port: {type: port, default: 7}, child: {type: service}}\n"
        "command: ['{child.program}', '{child.arguments:json}', '{child.name}', '{child.url}', '{child.names}']\nchild: child\n"
    )
    text = "hosts:\n  h1:\n    a: {kind: outer, child: {kind: thing, names: [x, y]}}\n    b: {kind: outer, child: {kind: thing, name: n, port: 8}}\n"
    a, b = (resolve_service(s, ADDRESSES) for s in topology(tmp_path, text, outer=outer).services)
    assert a.command == ("thing", '["7", "x,y", "0.25"]', "a.child", "http://127.0.0.4:7", "x,y")
    assert b.command == ("thing", '["8", "n", "0.25"]', "n", "http://127.0.0.4:8", "n")
    assert (a.options["child"]["name"], b.options["child"]["port"]) == ("a.child", 8)


def test_a_nested_service_without_a_kind(tmp_path: Path) -> None:
    """What a child states itself may refer to the port it has to listen on."""
    outer = "kind: outer\noptions: {port: {type: port}, child: {type: service}}\ncommand: '{child.command}'\n"
    text = "hosts:\n  h1:\n    a: {kind: outer, port: 9, child: {command: [x, '{port}', '{host.address}']}}\n"
    (spec,) = topology(tmp_path, text, outer=outer).services
    assert resolve_service(spec, ADDRESSES).command == ("x", "9", "127.0.0.4")


def test_a_nearer_kind_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    """A project's own kinds/registry.yaml wins over muster's."""
    text = "hosts: {h1: {r: {kind: registry}}}\n"
    (spec,) = topology(tmp_path, text, registry="kind: registry\ncommand: [mine]\n").services
    assert spec.command == ("mine",)


def test_a_host_may_be_empty(tmp_path: Path) -> None:
    """A machine that only sends traffic holds no services."""
    found = topology(tmp_path, "hosts: {client1: , client2: {}, h1: {a: {command: [x]}}}\n")
    assert [(host.name, len(host.services)) for host in found.hosts] == [
        ("client1", 0),
        ("client2", 0),
        ("h1", 1),
    ]


def test_an_inventory_needs_addresses_and_urls_only(tmp_path: Path) -> None:
    """What already runs has an address and URLs, and no command."""
    path = tmp_path / "i.yaml"
    path.write_text(
        "hosts:\n  s1:\n    address: 10.0.0.5\n    a: {url: 'http://10.0.0.5:1', speaks: [openai]}\n"
    )
    found = read_inventory(path, {})
    assert (found.hosts[0].address, found.services[0].url) == ("10.0.0.5", "http://10.0.0.5:1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "hosts:\n  s1:\n    a: {command: [x], url: 'http://x'}\n",
            "host 's1' has no address; say where it is (address: 10.0.0.5)",
        ),
        (
            "hosts:\n  s1:\n    address: 10.0.0.5\n    a: {speaks: [openai]}\n",
            "a says no url: nobody knows where it is",
        ),
        ("hosts:\n  s1:\n    address: 5\n", "address: expected an address like 10.0.0.5, got 5"),
    ],
)
def test_mistakes_of_an_inventory(tmp_path: Path, text: str, told: str) -> None:
    """A host without an address and a service without a URL cannot be judged."""
    path = tmp_path / "i.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        read_inventory(path, {})
    assert told in [problem.message for problem in error.value.problems]
