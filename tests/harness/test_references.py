"""References in braces: what is replaced at load time, what when addresses are known, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.errors import Place
from harness.model import Expect, ServiceSpec
from harness.references import (
    BadReference,
    Environment,
    Namespace,
    Scope,
    constant,
    escape,
    expand,
    expand_text,
    resolve,
    resolve_service,
)
from harness.yaml_places import Problems, parse_yaml

HERE = Place("t.yaml")


def namespace(what: str = "nothing is called", **values: Any) -> Namespace:
    return Namespace(what, {name: constant(value) for name, value in values.items()})


SCOPE = namespace(
    port=8100,
    delay=0.2,
    whole=5.0,
    models=("model-1", "model-2"),
    none=None,
    on=True,
    name='say "hi"',
    backend=namespace("backend has no", command=("run", "--at", "{server1.address}"), data={"a": 1}),
    env=Environment({"TOKEN": "a{b}c"}),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{port}", 8100),
        ("{port+1}", 8101),
        ("{ port }", 8100),
        ("{models}", ("model-1", "model-2")),
        ("--models={models}", "--models=model-1,model-2"),
        ("{port}:{port+1}", "8100:8101"),
        ("{delay}s, {whole}s, {on}", "0.2s, 5s, true"),
        ("{name:json}", '"say \\"hi\\""'),
        ("{backend.command:json}", '["run", "--at", "{server1.address}"]'),
        ("{backend.data:json}", '{{"a": 1}}'),
        ("{{port}}", "{{port}}"),
        ("a{2,3}b{4}", "a{{2,3}}b{{4}}"),
        ("{env.TOKEN}", "a{{b}}c"),
    ],
)
def test_what_is_known_is_replaced_when_a_file_is_loaded(text: str, value: object) -> None:
    """A whole reference keeps its type; within text it is text; doubled braces stay doubled until the run."""
    assert expand_text(text, SCOPE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{prt}", "unknown reference {prt}: nothing is called 'prt'. Did you mean 'port'?"),
        (
            "{backend.comand}",
            "unknown reference {backend.comand}: backend has no 'comand'. Did you mean 'command'?",
        ),
        ("{backend}", "unknown reference {backend}: it stands for several values; add one of: command, data"),
        ("{port.x}", "unknown reference {port.x}: there is no 'x' in it."),
        (
            "{name+1}",
            "unknown reference {name+1}: only a whole number can be added to, and it stands for 'say \"hi\"'",
        ),
        ("x{none}", "unknown reference x{none}: it has no value".replace("x{", "{")),
        (
            "x{backend.data}",
            "unknown reference {backend.data}: a mapping cannot stand within text; add ':json'",
        ),
        ("{env.NOPE}", "unknown reference {env.NOPE}: the environment variable NOPE is not set"),
        ("a } b", "a lone '}'; a brace that is no reference is written twice: '}}'"),
        ("{a b}", "{a b} is no reference; braces that are not meant as one are written twice: '{{a b}}'"),
    ],
)
def test_what_stands_for_nothing_is_refused(text: str, message: str) -> None:
    """The reference, the reason, and what was probably meant."""
    with pytest.raises(BadReference) as error:
        expand_text(text, SCOPE)
    assert str(error.value) == message


def test_names_of_the_environment_are_not_told() -> None:
    """A message about a missing variable does not list those that exist."""
    with pytest.raises(BadReference) as error:
        expand_text("{env.TOKN}", SCOPE)
    assert "TOKEN" not in str(error.value)


def test_plain_values_of_every_shape_are_escaped() -> None:
    """Parameters may be lists and mappings; numbers stay numbers."""
    assert escape({"{a}": ["{b}", 1, ("{c}",), None]}) == {"{{a}}": ["{{b}}", 1, ("{{c}}",), None]}


def test_keys_are_texts_too() -> None:
    """References in the keys of a mapping are replaced; places stay where they were."""
    problems = Problems()
    node = parse_yaml('a:\n  "{name:json}-x": "{models}"\n', "t.yaml", problems)
    assert node is not None
    found = expand(node, SCOPE, problems)
    assert found.plain() == {"a": {'"say \\"hi\\""-x': ["model-1", "model-2"]}}
    assert found.value["a"].value['"say \\"hi\\""-x'].value[1].place.line == 2
    assert problems.found == []


@dataclass(frozen=True)
class Check:
    """A check as a scenario may hold it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    made: str = field(init=False, default="{not.touched}")


def test_addresses_are_filled_in_when_they_are_known() -> None:
    """A frozen value is rebuilt with every text in it resolved, however deep; the rest stays the same object."""
    scope = Scope.of((), {"server1": "127.0.0.2"})
    check = Check("http://{server1.address}:80/x", {"{server1.address}": "{{}}"}, ("a", "{server1.name}"))
    expect = Expect(check=check, place=HERE, within=5.0)
    found = resolve(expect, scope)
    assert found == Expect(
        check=Check("http://127.0.0.2:80/x", {"127.0.0.2": "{}"}, ("a", "server1")), place=HERE, within=5.0
    )
    unchanged = Expect(check=Check("http://x"), place=HERE)
    assert resolve(unchanged, scope) is unchanged


def test_a_running_deployment_knows_its_services() -> None:
    """Options and URLs of resolved services are references as well, braces in them kept."""
    spec = ServiceSpec(name="router", host="server1", place=HERE, url="http://h/{x}", options={"port": 8000})
    scope = Scope.of([spec], {"server1": "127.0.0.2"})
    assert (
        resolve("{router.url} {router.port} {router.address} {router.host.name}", scope)
        == "http://h/{x} 8000 127.0.0.2 server1"
    )


def test_a_service_is_resolved_whole() -> None:
    """Command, environment, files, names it registers: every text of a spec."""
    spec = ServiceSpec(
        name="a",
        host="h",
        place=HERE,
        command=("serve", "--host", "{h.address}"),
        env={"PEER": "{g.address}"},
        files={"c.toml": 'host = "{h.address}"\nset = {{}}\n'},
        registers={"a@{h.address}": ("m",)},
        url="http://{h.address}:1",
    )
    found = resolve_service(spec, {"h": "127.0.0.2", "g": "127.0.0.3"})
    assert found.command == ("serve", "--host", "127.0.0.2")
    assert found.env == {"PEER": "127.0.0.3"}
    assert found.files == {"c.toml": 'host = "127.0.0.2"\nset = {}\n'}
    assert found.registers == {"a@127.0.0.2": ("m",)}
    assert found.url == "http://127.0.0.2:1"


@pytest.mark.parametrize("text", ["", "a{b}c", "{{", "}}{", "{a.b+1:json}"])
def test_escaped_text_comes_out_as_it_went_in(text: str) -> None:
    """Text of a parameter or a variable is never taken for a reference."""
    assert resolve(expand_text("{x}", namespace(x=escape(text))), Scope.of((), {})) == text
    assert resolve(f"-{expand_text('{x}.', namespace(x=escape(text)))}", Scope.of((), {})) == f"-{text}."
