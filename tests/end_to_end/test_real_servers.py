"""./validate.sh ADDRESS: servers that already run, ours and others', well and not well."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.commands import ROOT, Ended, call, report_in
from tests.end_to_end.servers import Worker, an_address, serving

pytestmark = pytest.mark.slow
LOGS = "requests for {} stand in the log of the service that answered them"
REGISTERED = "every service is registered, healthy, and has the models it should have"


def validate(run_dir: Path, *words: str) -> Ended:
    """`./validate.sh WORDS`, with its report."""
    done = call(ROOT / "validate.sh", *words, "--run-dir", run_dir)
    return Ended(done.code, done.output, report_in(run_dir))


@pytest.fixture(scope="module")
def two_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """What the scripts start: both addresses, and the folder with the logs."""
    first, second, state = an_address(), an_address(), tmp_path_factory.mktemp("servers")
    own = {"MUSTER_SERVERS_DIR": str(state), "MUSTER_RUNTIME": "process"}
    try:
        for script in (("start-server1.sh", first), ("start-server2.sh", first, second)):
            started = call(ROOT / "docker" / script[0], *script[1:], env=own)
            assert started.code == 0, started.output
        yield first, second, state
    finally:
        call(ROOT / "docker" / "stop-all.sh", env=own)


def test_servers_started_by_the_scripts_pass(tmp_path: Path, two_servers: tuple[str, str, Path]) -> None:
    """All that can be judged passes; logs and faults are not applicable, each with its sentence."""
    ended = validate(tmp_path, two_servers[0], "--expect-services", "4")

    assert ended.code == 0, ended.output
    assert ended.having("fail", "unknown") == []
    assert "model-2 is shared evenly by the services that have it" in ended.having("pass")
    assert "an inventory can (log: {file: ...})" in ended.steps[LOGS.format("model-1")].message
    assert "faults need hosts that muster starts" in ended.steps["server 2 dies"].message


def test_fewer_services_than_expected_fail(tmp_path: Path, two_servers: tuple[str, str, Path]) -> None:
    """`--expect-services 9` says how many there are and who they are."""
    ended = validate(tmp_path, two_servers[0], "--expect-services", "9", "-k", REGISTERED)

    assert ended.code == 1
    said = ended.steps[REGISTERED].message
    assert "healthy services with models at registry: 4" in said
    assert "at least 9 should be there" in said


def test_too_few_requests_leave_the_distribution_unknown(
    tmp_path: Path, two_servers: tuple[str, str, Path]
) -> None:
    """`--max-requests 50`: the number that would be needed, exit code 6, and all else judged."""
    ended = validate(tmp_path, two_servers[0], "--max-requests", "50")

    assert ended.code == 6, ended.output
    evenly = [f"model-{n} is shared evenly by the services that have it" for n in (1, 2)]
    assert ended.having("unknown", "fail") == evenly
    assert "takes 195 answers" in ended.steps[evenly[0]].message


def test_an_inventory_with_logs_has_them_judged(tmp_path: Path, two_servers: tuple[str, str, Path]) -> None:
    """With `log: {file: ...}` the log steps pass, and the address may be left out."""
    inventory = tmp_path / "servers.yaml"
    inventory.write_text(inventory_of(*two_servers))
    ended = validate(tmp_path, "--inventory", str(inventory))

    assert ended.code == 0, ended.output
    assert {LOGS.format("model-1"), LOGS.format("model-2")} <= set(ended.having("pass"))


def test_an_inventory_with_swapped_logs_fails(tmp_path: Path, two_servers: tuple[str, str, Path]) -> None:
    """Where A's log is said to be C's, requests stand in the wrong one, and both are named."""
    text = inventory_of(*two_servers)
    swapped = text.replace("babysitter-a.log", "x").replace(
        "server2/babysitter-c.log", "server1/babysitter-a.log"
    )
    inventory = tmp_path / "servers.yaml"
    inventory.write_text(swapped.replace("server1/x", "server2/babysitter-c.log"))
    ended = validate(tmp_path, "--inventory", str(inventory), "-k", LOGS.format("model-1"))

    assert ended.code == 1, ended.output
    said = ended.steps[LOGS.format("model-1")].message
    assert "babysitter-a served requests (as babysitter-a-server) that its log does not hold" in said


def inventory_of(first: str, second: str, state: Path) -> str:
    """The two servers as their owner would write them down."""

    def babysitter(server: int, letter: str, port: int, model: str) -> str:
        backend = f"{{kind: mock-openai, name: mock-service-{letter}, models: [{model}]}}"
        log = f"{{file: {state}/server{server}/babysitter-{letter}.log}}"
        options = f'port: {port}, registry: "{{registry.url}}", backend: {backend}, log: {log}'
        return f"    babysitter-{letter}: {{kind: babysitter, {options}}}"

    lines = [
        *("hosts:", "  server1:", f"    address: {first}", "    registry: {kind: registry}"),
        '    router: {kind: router, registry: "{registry.url}"}',
        *(babysitter(1, "a", 8100, "model-1"), babysitter(1, "b", 8200, "model-2")),
        *("  server2:", f"    address: {second}"),
        *(babysitter(2, "c", 8100, "model-1"), babysitter(2, "d", 8200, "model-2")),
    ]
    return "\n".join(lines) + "\n"


def test_one_babysitter_with_the_wrong_model_fails(tmp_path: Path) -> None:
    """C was started with model-2: the step, the service, what it offers and what it should offer."""
    address, other = an_address(), an_address()
    workers = [
        Worker(name="babysitter-a", port=8100, model="model-1"),
        Worker(name="babysitter-b", port=8200, model="model-2"),
        Worker(name="babysitter-c", port=8100, model="model-2", address=other),
        Worker(name="babysitter-d", port=8200, model="model-2", address=other),
    ]
    with serving(address, [named(worker) for worker in workers]):
        ended = validate(tmp_path, address)

    assert ended.code == 1, ended.output
    assert ended.having("fail")[0] == REGISTERED
    said = ended.steps[REGISTERED].message
    assert "babysitter-c-server offers model-2, but should offer model-1" in said
    assert (
        "babysitter-c-server offers model-2, but should offer model-1" in ended.report["headline"]["sentence"]
    )


def named(worker: Worker) -> Worker:
    """A worker whose backend has the name that the shipped scenario expects."""
    mock = f"mock-service-{worker.name[-1]}"
    return Worker(
        name=worker.name, port=worker.port, model=worker.model, address=worker.address, answers_as=mock
    )


def test_servers_of_somebody_else_are_judged_by_discovery(tmp_path: Path) -> None:
    """Three servers, other names, other models, one of which runs once: no inventory is needed."""
    first, second, third = an_address(), an_address(), an_address()
    workers = [
        Worker(name="x", port=9100, model="m1"),
        Worker(name="y", port=9100, model="m1", address=second),
        Worker(name="z", port=9300, model="m2", address=third),
    ]
    with serving(first, workers):
        ended = validate(tmp_path, first)

    assert ended.code == 0, ended.output
    assert ended.having("fail", "unknown") == []
    assert "x-server" in ended.steps["m1 is shared evenly by the services that have it"].message
    assert "a streamed chat with m2 arrives whole" in ended.having("pass")


def test_a_token_that_is_wanted_is_asked_for_and_then_used(tmp_path: Path) -> None:
    """Without it: 401 and the option to pass. With it: judged, and the token stands nowhere."""
    address, token = an_address(), tmp_path / "token"
    token.write_text("s3cret-of-the-test\n")
    workers = [Worker(name="x", port=9100, model="m1"), Worker(name="y", port=9200, model="m1")]
    with serving(address, workers, "--token-file", str(token)):
        without = validate(tmp_path / "without", address, "-k", REGISTERED)
        given = validate(tmp_path / "with", address, "--token-file", str(token))

    assert without.code in (1, 6), without.output
    assert "answered 401: it wants a token: pass --token-file FILE" in without.output
    assert given.code == 0, given.output
    written = [path for path in (tmp_path / "with").rglob("*") if path.is_file()]
    assert [path for path in written if b"s3cret-of-the-test" in path.read_bytes()] == []


def test_a_service_at_0000_is_named(tmp_path: Path) -> None:
    """A worker that registered 0.0.0.0 is named, with what to start it with."""
    address, other = an_address(), an_address()
    workers = [
        Worker(name="x", port=9100, model="m1"),
        Worker(name="y", port=9200, model="m1", address=other, extra=("--advertise-host", "0.0.0.0")),
    ]
    with serving(address, workers):
        ended = validate(tmp_path, address)

    assert ended.code == 1, ended.output
    assert "y-server is registered at 0.0.0.0, which no other machine can reach" in ended.output
    assert "--advertise-host ADDRESS" in ended.output


def test_a_worker_that_only_the_registry_sees_is_named(tmp_path: Path) -> None:
    """Z heartbeats, and the router's machine cannot reach the address it registered: name, address, question."""
    address, nowhere = an_address(), an_address()
    workers = [
        Worker(name="x", port=9100, model="m1"),
        Worker(name="z", port=9300, model="m2", extra=("--advertise-host", nowhere)),
    ]
    with serving(address, workers):
        ended = validate(tmp_path, address, "-k", "a chat with m2")

    assert ended.code == 1, ended.output
    said = ended.steps["a chat with m2 is answered by a service that has it"].told
    assert "z-server is healthy at the registry, and all 10 requests for m2 were refused" in said
    assert f"can the router's machine reach http://{nowhere}:9300?" in said


SYMPTOMS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "wrong registry port": (
        ("--registry-port", "18001"),
        ":18001/health refused the connection",
        "wrong-address",
    ),
    "wrong router port": (("--router-port", "8001"), ":8001/health refused the connection", "wrong-address"),
    "https where http is spoken": (("--scheme", "https"), "TLS failed", "check --scheme"),
}


def test_who_does_not_answer_is_said_and_what_to_check(
    tmp_path: Path, two_servers: tuple[str, str, Path]
) -> None:
    """Wrong ports, wrong scheme, an address nobody has, a name nobody knows: the URL, how, and the remedy."""
    cases = {name: ((two_servers[0], *options), how, what) for name, (options, how, what) in SYMPTOMS.items()}
    nobody = an_address()
    cases["an address without servers"] = (
        (nobody,),
        f"http://{nobody}:18000/health refused",
        "wrong-address",
    )
    unknown = "server1.invalid"
    cases["an unknown name"] = ((unknown,), f"the name '{unknown}' is not known here", "check its spelling")
    with ThreadPoolExecutor(len(cases)) as pool:
        ended = {name: pool.submit(validate, tmp_path / name, *case[0]) for name, case in cases.items()}
    for name, (_, how, remedy) in cases.items():
        outcome = ended[name].result()
        assert outcome.code == 1, (name, outcome.output)
        assert how in outcome.output, (name, outcome.output)
        assert remedy in outcome.output, (name, outcome.output)
        assert outcome.having("pass") in ([], ["the registry is healthy"]), name


def test_wrong_usage_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    """An inventory that is not there, one that is mistaken, two addresses: exit code 4."""
    assert validate(tmp_path, "--inventory", "nowhere.yaml").code == 4
    (tmp_path / "bad.yaml").write_text("hosts:\n  s1:\n    registry: {kind: regisry}\n")
    mistaken = validate(tmp_path, "--inventory", str(tmp_path / "bad.yaml"))
    assert mistaken.code == 4
    assert "Did you mean 'registry'?" in mistaken.output
    assert f"{tmp_path / 'bad.yaml'}:3" in mistaken.output
    assert validate(tmp_path, "10.0.0.5", "10.0.0.6").code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]
