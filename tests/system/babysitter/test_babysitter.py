"""The babysitter as a program, with a real backend and a registry that answers as told."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.testing import running

N = "babysitter-a"
SERVER = "babysitter-a-server"
HOST = "127.77.1.1"


def backend_pid(sitter: Any) -> int:
    return int(httpx.get(sitter.url + "/info").json()["backend_pid"])


def until(true: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.01)


def group_is_gone(pgid: int) -> bool:
    """Whether no member of the group runs; a zombie only waits for its parent to look."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) == pgid and state != "Z":
            return False
    return True


def is_ready(sitter: Any) -> bool:
    return httpx.get(sitter.url + "/ready").status_code == 200


def test_both_names_are_registered_as_the_contract_says(sit: Any, registry: Any) -> None:
    """The babysitter is on the port after the backend's; the backend comes with its models and metadata."""
    with sit("--registry-url", registry.url, "--metadata", "zone=z1") as sitter:
        own = registry.wait_for("POST", N).body
        backend = registry.wait_for("POST", SERVER).body

    assert (own["host"], own["port"], own["url"]) == (HOST, sitter.port + 1, sitter.url)
    assert own["metadata"] == {"type": "mock", "babysitter": "enhanced"}
    assert (backend["port"], backend["url"]) == (sitter.port, f"http://{HOST}:{sitter.port}")
    assert backend["status"] == "running"
    assert backend["ttl"] == pytest.approx(0.4)
    metadata = backend["metadata"]
    assert (metadata["type"], metadata["parent_service"], metadata["zone"]) == ("openai-api", N, "z1")
    assert metadata["models"] == ["model-1"]
    assert metadata["models_list"][0]["object"] == "model"


def test_heartbeats_and_removal_carry_the_lease(sit: Any, registry: Any) -> None:
    """What the registration granted is shown with every heartbeat and when both names are removed on SIGTERM."""
    with sit("--registry-url", registry.url) as sitter:
        beats = [registry.wait_for("heartbeat", name) for name in (N, SERVER)]
        pid = backend_pid(sitter)
        assert sitter.program.stop(within=3) == 0
    removals = [registry.wait_for("DELETE", name) for name in (N, SERVER)]

    assert [beat.body["lease_id"] for beat in beats] == [f"lease-{N}", f"lease-{SERVER}"]
    assert [gone.path for gone in removals] == [
        f"/services/{name}?lease_id=lease-{name}" for name in (N, SERVER)
    ]
    assert group_is_gone(pid)


def test_a_registry_without_leases_is_spoken_to_as_before(sit: Any, registry: Any) -> None:
    """No lease granted, none shown."""
    registry.answer = lambda seen: (201, {}) if seen.kind == "POST" else (200, {})
    with sit("--registry-url", registry.url) as sitter:
        beat = registry.wait_for("heartbeat", SERVER)
        sitter.program.stop()

    assert beat.body == {"status": "running"}
    assert registry.wait_for("DELETE", SERVER).path == f"/services/{SERVER}"


def test_a_name_that_the_registry_forgot_is_registered_again_at_once(sit: Any, registry: Any) -> None:
    """A heartbeat answered with 404 is followed by a registration, not by another heartbeat."""
    with sit("--registry-url", registry.url) as sitter:
        registry.wait_for("heartbeat", SERVER)
        known: set[str] = set()

        def forgetful(seen: Any) -> tuple[int, dict[str, Any]]:
            if seen.kind == "POST":
                known.add(seen.about)
                return 201, {}
            return (200, {}) if seen.about in known else (404, {})

        restarted = len(registry.seen)
        registry.answer = forgetful
        beats = [registry.wait_for("heartbeat", name, after=restarted) for name in (N, SERVER)]
        again = [registry.wait_for("POST", name, after=restarted) for name in (N, SERVER)]
        sitter.program.wait_for_line(f"{SERVER} is no longer known to .*: registering again")

    assert all(post.at - beat.at < 0.1 for beat, post in zip(beats, again, strict=True))


def test_a_name_that_another_service_took_is_left_alone(sit: Any, registry: Any) -> None:
    """After 409 nothing is sent about the name but looks, until it is gone; then it is registered again."""
    with sit("--registry-url", registry.url) as sitter:
        registry.wait_for("heartbeat", SERVER)
        taken = len(registry.seen)
        registry.answer = lambda seen: (
            (409, {}) if seen.kind == "heartbeat" and seen.about == SERVER else registry.accept(seen)
        )
        registry.wait_for("GET", SERVER, after=taken)
        sitter.program.wait_for_line(f"ERROR .*{SERVER}: another service registered this name")
        meanwhile = {seen.kind for seen in registry.seen[taken + 1 :] if seen.about == SERVER} - {"heartbeat"}

        free = len(registry.seen)
        registry.answer = lambda seen: (404, {}) if seen.kind == "GET" else registry.accept(seen)
        registry.wait_for("POST", SERVER, after=free)

    assert meanwhile == {"GET"}


def test_a_registry_that_comes_later_is_found(sit: Any, registry: Any) -> None:
    """Registration is tried again, quietly, until somebody answers; the backend serves meanwhile."""
    registry.answer = lambda _: (503, {})
    with sit("--registry-url", registry.url) as sitter:
        sitter.program.wait_for_line("Request to register failed for babysitter-a-server: .*answered 503")
        assert httpx.get(f"http://{HOST}:{sitter.port}/health").status_code == 200
        assert not is_ready(sitter)

        registry.answer = registry.accept
        sitter.program.wait_for_line(r"Managed service registered with registry \(1 models\)")
        until(lambda: is_ready(sitter))
        complaints = [line for line in sitter.program.lines if "Request to register failed" in line]

    assert len(complaints) == 2


def test_a_killed_backend_is_unregistered_at_once_and_brought_back(sit: Any, registry: Any) -> None:
    """Its name goes before the restart and comes back with it; the babysitter's own name stays."""
    with sit("--registry-url", registry.url) as sitter:
        registry.wait_for("heartbeat", SERVER)
        killed = len(registry.seen)
        pid = backend_pid(sitter)
        os.kill(pid, signal.SIGKILL)
        gone = registry.wait_for("DELETE", SERVER, after=killed)
        back = registry.wait_for("POST", SERVER, after=killed)
        sitter.program.wait_for_line(r"Service process died \(killed by SIGKILL\)")
        sitter.program.wait_for_line(r"Service crashed, restarting in 0.05 seconds... \(restart 1/10000\)")
        info = httpx.get(sitter.url + "/info").json()

    assert gone.at < back.at
    assert (info["restart_count"], info["backend"]) == (1, "healthy")
    assert info["backend_pid"] != pid
    assert not [seen for seen in registry.seen[killed:] if (seen.kind, seen.about) == ("POST", N)]


def test_a_frozen_backend_drops_out_within_the_ttl_and_comes_back(sit: Any, registry: Any) -> None:
    """No heartbeat is sent for a backend that does not answer; after the ttl it is removed, thawed it returns."""
    with sit("--registry-url", registry.url) as sitter:
        registry.wait_for("heartbeat", SERVER)
        pid = backend_pid(sitter)
        os.killpg(pid, signal.SIGSTOP)
        frozen_at, frozen = time.monotonic(), len(registry.seen)
        gone = registry.wait_for("DELETE", SERVER, after=frozen)
        late = [
            seen
            for seen in registry.seen[frozen:]
            if (seen.kind, seen.about) == ("heartbeat", SERVER) and seen.at > frozen_at + 0.1
        ]
        assert httpx.get(sitter.url + "/health").status_code == 503
        os.killpg(pid, signal.SIGCONT)
        registry.wait_for("POST", SERVER, after=frozen)
        sitter.program.wait_for_line("Service is well again")

    assert not late
    assert gone.at - frozen_at < 0.4 + 0.5
    assert f"heartbeat {N}" in {f"{seen.kind} {seen.about}" for seen in registry.seen[frozen:]}


def test_an_unhealthy_backend_is_taken_out(sit: Any, registry: Any) -> None:
    """A backend whose own health says no is unregistered, and registered again when it says yes."""
    with sit("--registry-url", registry.url) as sitter:
        registry.wait_for("POST", SERVER)
        sick = len(registry.seen)
        httpx.post(f"http://{HOST}:{sitter.port}/control", json={"unhealthy": True})
        registry.wait_for("DELETE", SERVER, after=sick)
        sitter.program.wait_for_line("Service is not well: /health answered 503")

        httpx.delete(f"http://{HOST}:{sitter.port}/control")
        registry.wait_for("POST", SERVER, after=sick)


# {port} is filled in by the babysitter; `exec` makes the mock the group's leader, `sleep` a second member
WITH_GRANDCHILD = "-c 'sleep 1000 & exec muster-mock openai --host {host} --port {port}'"


@pytest.mark.parametrize("freeze", [False, True])
def test_nothing_is_left_when_the_babysitter_is_killed(sit: Any, freeze: bool) -> None:
    """SIGKILL of the babysitter ends the backend's whole group, also when it is frozen."""
    with sit("--command", "/bin/sh", f"--args={WITH_GRANDCHILD}", backend=False) as sitter:
        until(lambda: is_ready(sitter))
        pid = backend_pid(sitter)
        if freeze:
            os.killpg(pid, signal.SIGSTOP)
        sitter.program.process.kill()
        sitter.program.process.wait(5)

        until(lambda: group_is_gone(pid), within=3)


def test_the_whole_group_is_stopped_with_the_babysitter(sit: Any) -> None:
    """SIGTERM ends the backend and what it started."""
    with sit("--command", "/bin/sh", f"--args={WITH_GRANDCHILD}", backend=False) as sitter:
        until(lambda: is_ready(sitter))
        pid = backend_pid(sitter)
        assert sitter.program.stop(within=3) == 0

    until(lambda: group_is_gone(pid), within=3)


def test_a_backend_that_ignores_sigterm_is_killed(sit: Any) -> None:
    """The time a backend may take to stop is bounded."""
    stubborn = (
        "-c 'trap \"\" TERM; muster-mock openai --host {host} --port {port} & while :; do sleep 1; done'"
    )
    options = ("--command", "/bin/sh", f"--args={stubborn}", "--stop-timeout", "200ms")
    with sit(*options, backend=False) as sitter:
        until(lambda: is_ready(sitter))
        assert sitter.program.stop(within=3) == 0


def test_a_frozen_backend_is_stopped_without_waiting_for_it(sit: Any) -> None:
    """A stopped process is woken to hear that it should end; the time it may take to stop is not used up."""
    with sit("--stop-timeout", "60s") as sitter:
        until(lambda: is_ready(sitter))
        os.killpg(backend_pid(sitter), signal.SIGSTOP)
        assert sitter.program.stop(within=3) == 0


def test_a_backend_that_ends_while_awaited_is_not_awaited_any_longer(sit: Any) -> None:
    """The end of a starting backend is seen at once; too many in a row end the babysitter with 1."""
    options = ("--command", "/bin/sh", "--args=-c 'echo oops >&2; exit 3'", "--max-restarts", "2")
    with sit(*options, backend=False) as sitter:
        assert sitter.program.wait(within=5) == 1
        output = sitter.program.output

    assert output.count("[babysitter-a stderr] oops") == 3
    assert "restarting in 0.05 seconds... (restart 1/2)" in output
    assert "restarting in 0.1 seconds... (restart 2/2)" in output
    assert "ended by itself: the backend ended 3 times in a row, last with exit code 3" in output


def test_a_backend_that_never_gets_ready_is_restarted(sit: Any) -> None:
    """start_timeout bounds the wait for a backend that runs and does not listen."""
    options = ("--command", "sleep", "--args=1000", "--start-timeout", "100ms", "--max-restarts", "0")
    with sit(*options, backend=False) as sitter:
        assert sitter.program.wait(within=5) == 1

    assert "last with not ready after 0.1 s" in sitter.program.output


def test_its_own_pages_tell_about_the_backend(sit: Any) -> None:
    """Health, models and info have the contract's fields; before the backend serves they say so with 503."""
    with sit("--args=--start-delay 300ms") as sitter:
        before = [httpx.get(sitter.url + path).status_code for path in ("/health", "/models", "/ready")]
        until(lambda: is_ready(sitter))
        health = httpx.get(sitter.url + "/health").json()
        info = httpx.get(sitter.url + "/info").json()
        models = httpx.get(sitter.url + "/models").json()
        metrics = httpx.get(sitter.url + "/metrics").text
        wrong = [httpx.get(sitter.url + "/x").status_code, httpx.post(sitter.url + "/info").status_code]

    assert before == [503, 503, 503]
    assert health.items() >= {"status": "healthy", "service": N, "babysitter": "enhanced"}.items()
    assert (health["infinilm_server_running"], health["infinilm_server_port"]) == (True, sitter.port)
    assert info.items() >= {"name": N, "host": HOST, "port": sitter.port + 1, "service_type": "mock"}.items()
    assert [model["id"] for model in models["data"]] == ["model-1"]
    assert "muster_babysitter_backend_up 1.0" in metrics
    assert wrong == [404, 405]


def test_its_log_has_the_lines_that_people_grep_for(sit: Any, registry: Any) -> None:
    """The contract's log lines, and the backend's own lines behind its name."""
    with sit("--registry-url", registry.url) as sitter:
        for line in (
            "Starting Enhanced Babysitter",
            f"Babysitter HTTP server started on port {sitter.port + 1}",
            f"Service detected on port {sitter.port}",
            "Babysitter registered with registry",
            r"Managed service registered with registry \(1 models\)",
            rf"^\[babysitter-a stdout\] openai ready on http://{HOST}:{sitter.port}$",
        ):
            sitter.program.wait_for_line(line)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_taken_port_is_said_in_one_line(offset: int) -> None:
    """The backend's port and its own are known to be taken before anything starts, and by whom."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1] - offset
        options = ("--host", HOST, "--port", str(port), "--service-type", "mock", "--models", "m")
        with running("system", "babysitter", *options, ready="") as program:
            assert program.wait() == 1
        message = [line for line in program.lines if line.startswith("babysitter: ")]

    assert len(message) == 1
    assert f"port {port + offset} on {HOST} is taken by pid {os.getpid()} " in message[0]


def test_a_missing_command_is_said_in_one_line() -> None:
    """A backend that cannot be started is not tried for ever."""
    with running("system", "babysitter", "--port", "8100", "--command", "no-such", ready="") as program:
        assert program.wait() == 1

    assert program.lines == [
        "babysitter: the backend's command no-such was not found; install it or change backend.command"
    ]


def test_on_all_addresses_it_registers_the_one_towards_the_registry(registry: Any) -> None:
    """0.0.0.0 is never registered: the address is worked out and told."""
    options = ("--port", "0", "--registry-url", registry.url, "--service-type", "mock", "--models", "m")
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port = probe.getsockname()[1]
    with running("system", "babysitter", *options, "--port", str(port)) as program:
        body = registry.wait_for("POST", f"mock-{port}").body
        program.wait_for_line(
            "registering 127.0.0.1, this machine's address towards .*--advertise-host sets another"
        )

    assert (body["host"], body["url"]) == ("127.0.0.1", f"http://127.0.0.1:{port + 1}")


def test_another_address_can_be_advertised(sit: Any, registry: Any) -> None:
    """--advertise-host is registered for both names; a name nobody can use draws a warning."""
    with sit("--registry-url", registry.url, "--advertise-host", "0.0.0.0") as sitter:
        bodies = [registry.wait_for("POST", name).body for name in (N, SERVER)]
        sitter.program.wait_for_line("WARNING .*registering 0.0.0.0, to which nobody can connect")

    assert [body["host"] for body in bodies] == ["0.0.0.0", "0.0.0.0"]


def test_json_logs_hold_the_backends_lines_too(sit: Any) -> None:
    """With --log-format json every line is an object, those passed through included."""
    with sit("--log-format", "json") as sitter:
        sitter.program.wait_for_line('^{.*"logger":"babysitter-a stdout","message":"openai ready on')
        others = [line for line in sitter.program.lines if not line.startswith("{")]

    assert others == [f"babysitter ready on {sitter.url}"]
