"""The life of a component as a program: ready line, signals, drain, exit codes, TLS and tokens."""

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from system.testing import Running, running

HOST = "127.77.1.1"
Demo = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Demo:
    """Starts the demo component on a free port."""
    path = f"{Path(__file__).parent}:{Path(__file__).parents[2]}"
    monkeypatch.setenv("PYTHONPATH", path)

    def start(*options: str, ready: str = r"ready on (\S+)") -> AbstractContextManager[Running]:
        return running("demo_component", "--host", HOST, "--port", "0", *options, ready=ready)

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(demo: Demo, number: signal.Signals) -> None:
    """One ready line with the URL, then SIGTERM or SIGINT leave the context and exit with 0."""
    with demo() as program:
        assert httpx.get(program.url + "/x").json() == {"path": "/x"}
        program.signal(number)
        assert program.wait(within=3) == 0

    assert program.lines == [f"demo ready on {program.url}", f"leaving {program.process.pid}"]


def test_a_request_under_way_is_finished(demo: Demo) -> None:
    """After SIGTERM an open request gets its whole answer; new connections are refused."""
    with demo() as program, socket.create_connection((HOST, int(program.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        httpx.get(program.url)  # by its answer the slow request was read, too
        program.signal(signal.SIGTERM)
        program.wait_for_line("leaving")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert program.wait(within=3) == 0

    assert answer.endswith(b"done")


def test_an_endless_stream_does_not_keep_it(demo: Demo) -> None:
    """A stream is cut when the drain is over, without a trace in the log, and the exit code is 0."""
    with demo("--drain", "200ms") as program, httpx.stream("GET", program.url + "/stream") as answer:
        next(answer.iter_raw())
        began = time.monotonic()
        assert program.stop(within=5) == 0

    assert 0.2 <= time.monotonic() - began < 2
    assert "Traceback" not in program.output


def test_a_second_signal_ends_it_at_once(demo: Demo) -> None:
    """Whoever asks twice does not want to wait."""
    with demo("--leave", "60s") as program:
        program.signal(signal.SIGTERM)
        program.wait_for_line("leaving")
        program.signal(signal.SIGTERM)
        assert program.wait(within=2) == 1


def test_a_component_that_does_not_leave_is_cut_short(demo: Demo) -> None:
    """Leaving is bounded by the drain and a margin, and then it is a failure."""
    with demo("--leave", "60s", "--drain", "0") as program:
        assert program.stop(within=6) == 1

    assert "did not stop within 0 s: cutting it short" in program.output


def test_a_signal_before_it_is_ready_ends_the_start(demo: Demo) -> None:
    """Stopping a component that still starts is clean, and it never says that it is ready."""
    with demo("--start", "60s", ready="") as program:
        deadline = time.monotonic() + 5
        while b"demo_component" not in Path(f"/proc/{program.process.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        status = Path(f"/proc/{program.process.pid}/status")
        while not _catches(status, signal.SIGTERM):
            assert time.monotonic() < deadline
        program.signal(signal.SIGTERM)
        assert program.wait(within=3) == 0

    assert program.lines == []


def _catches(status: Path, number: signal.Signals) -> bool:
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_a_component_that_ends_by_itself_has_failed(demo: Demo) -> None:
    """The reason is logged, the context is left, the exit code is 1."""
    with demo("--end", "the lake is dry") as program:
        assert program.wait(within=3) == 1

    assert program.lines[1].startswith("leaving")
    assert program.lines[2].endswith("ERROR component: demo ended by itself: the lake is dry")


def test_what_keeps_it_from_starting_is_one_line(demo: Demo) -> None:
    """A reason without a trace, and exit code 1."""
    with demo("--refuse", "no database at db:5432; start it first", ready="") as program:
        assert program.wait() == 1

    assert program.lines == ["demo: no database at db:5432; start it first"]


def test_wrong_usage_is_exit_code_2(demo: Demo) -> None:
    """Mistakes are lines that begin with the program's name."""
    with demo("--strt", "1s", "--drain", "soon", ready="") as program:
        assert program.wait() == 2

    assert program.lines == [
        "demo: unknown option --strt; did you mean --start?",
        "demo: --drain: 'soon' must be a duration such as 5s, 500ms or 2m",
    ]


def test_json_logs_are_objects(demo: Demo) -> None:
    """Each log line is one object with time, level, logger and message."""
    with demo("--end", "x", "--log-format", "json") as program:
        program.wait()

    assert '"level":"error","logger":"component","message":"demo ended by itself: x"}' in program.lines[2]


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["regstry"], 2, "muster-system: unknown program 'regstry'; did you mean registry?"),
        ([], 2, "muster-system: which program?"),
        (["--help"], 0, "usage: muster-system NAME"),
    ],
)
def test_the_command_knows_its_programs(argv: list[str], code: int, words: str) -> None:
    """A wrong name is answered with the nearest one and the list."""
    with running("system", *argv, ready="") as program:
        assert program.wait() == code

    assert program.lines[0].startswith(words)
    assert "babysitter" in program.output


def test_starting_stays_light() -> None:
    """The modules a component loads before it reads its configuration are few: no web framework, no client."""
    script = "import sys, system.__main__, system.babysitter.program; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"fastapi", "pydantic", "uvicorn", "httpx", "aiohttp", "grpc", "numpy", "uvloop"} & set(loaded)


def test_a_body_is_read_up_to_its_limit(demo: Demo) -> None:
    """A large body arrives whole, one beyond the limit is refused."""
    with demo() as program:
        assert httpx.post(program.url + "/body", content=bytes(100_000)).text == "100000"
        assert httpx.post(program.url + "/body", content=bytes(100_001)).status_code == 413


def test_a_token_is_required_where_a_file_has_some(demo: Demo, tmp_path: Path) -> None:
    """Any token of the file opens every path; probes need none."""
    path = tmp_path / "tokens"
    path.write_text("old-token\n\nnew-token\n")

    def status(path: str, authorization: str | None) -> int:
        headers = {"authorization": authorization} if authorization else {}
        return httpx.get(program.url + path, headers=headers).status_code

    with demo("--token-file", str(path)) as program:
        assert [status("/x", shown) for shown in ("Bearer old-token", "bearer new-token")] == [200, 200]
        assert [status("/x", shown) for shown in (None, "Bearer", "Bearer x", "Basic old-token")] == [401] * 4
        assert [status(probe, None) for probe in ("/health", "/ready")] == [200, 200]


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("\n", "holds no token")])
def test_a_token_file_without_tokens_opens_nothing(
    demo: Demo, tmp_path: Path, content: str | None, words: str
) -> None:
    """A missing or empty file is a reason not to start, not a reason to let everybody in."""
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
    with demo("--token-file", str(path), ready="") as program:
        assert program.wait() == 1

    assert f"demo: --token-file {path}: {words}" in program.output


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the test address, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ("-subj", "/CN=demo", "-addext", f"subjectAltName=IP:{HOST}")
    files = ("-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
        check=True,
        capture_output=True,
    )
    return folder


def test_https_is_served_to_who_trusts_it(demo: Demo, certificates: Path) -> None:
    """With a certificate the ready line and the server are https."""
    cert, key = str(certificates / "cert.pem"), str(certificates / "key.pem")
    with demo("--tls-cert", cert, "--tls-key", key) as program:
        assert program.url.startswith(f"https://{HOST}:")
        trusting = ssl.create_default_context(cafile=cert)
        assert httpx.get(program.url, verify=trusting).status_code == 200


def test_clients_must_show_a_certificate_where_a_ca_is_given(demo: Demo, certificates: Path) -> None:
    """A client without a certificate of that CA does not get through, one with it does."""
    cert, key = str(certificates / "cert.pem"), str(certificates / "key.pem")
    with demo("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", cert) as program:
        stranger = ssl.create_default_context(cafile=cert)
        with pytest.raises(httpx.TransportError):
            httpx.get(program.url, verify=stranger)
        known = ssl.create_default_context(cafile=cert)
        known.load_cert_chain(cert, key)
        assert httpx.get(program.url, verify=known).status_code == 200


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tls-cert", "/nowhere/c.pem"], 1, "demo: cannot use the TLS files /nowhere/c.pem: No such file"),
        (["--tls-key", "/nowhere/k.pem"], 2, "demo: --tls-key and --tls-client-ca need --tls-cert"),
    ],
)
def test_tls_files_that_cannot_be_used_are_named(
    demo: Demo, options: list[str], code: int, words: str
) -> None:
    """Missing files and half a configuration are one line each."""
    with demo(*options, ready="") as program:
        assert program.wait() == code

    assert program.output.startswith(words)
