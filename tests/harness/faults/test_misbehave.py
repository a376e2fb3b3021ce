"""A stand-in that is told to do something wrong, and proof that it did."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.clock import SystemClock
from harness.faults.base import NoReceipt, Receipt
from harness.faults.misbehave import Misbehave
from harness.testing import FakeHosts, FakeScene, service_spec, topology_of, workspace_in
from system.testing import running
from tests.harness.authoring import mistakes, write


def on_stage(
    folder: Path, url: str, body: Callable[[FakeScene], Awaitable[None]], control: str = "/control"
) -> None:
    """Run a coroutine function with one service in memory that is reached at a URL."""

    async def main() -> None:
        spec = service_spec("mock", url=url, control=control)
        async with AsyncExitStack() as stack:
            hosts = await stack.enter_async_context(FakeHosts.open(topology_of(spec), workspace_in(folder)))
            service = await stack.enter_async_context(hosts.service(spec))
            await body(FakeScene(hosts, SystemClock(), [service], lambda _: None))

    asyncio.run(main())


def test_a_mock_fails_during_the_fault_and_not_after_it(tmp_path: Path) -> None:
    """Requests are refused inside the fault, and answered again behind it; the receipt shows both states."""
    receipts: list[Receipt] = []

    async def body(scene: FakeScene) -> None:
        chat = {"model": "model-1", "messages": [{"role": "user", "content": "x"}]}
        url = scene.spec("mock").url + "/v1/chat/completions"
        async with httpx.AsyncClient() as client:
            async with Misbehave("mock", how={"fail": 503, "slow": "10ms"}).inject(scene) as receipt:
                receipts.append(receipt)
                assert (await client.post(url, json=chat)).status_code == 503
            assert (await client.post(url, json=chat)).status_code == 200

    with running("mock_services", "openai", "--host", "127.77.1.4", "--port", "0") as mock:
        on_stage(tmp_path, mock.url, body)
        assert receipts[0].effect == (
            f"mock: fail None, slow 0.0 -> fail 503, slow 0.01 at {mock.url}/control",
        )
    assert receipts[0].healed == ("mock: fail None, slow 0.0 again",)


@contextmanager
def control_of(answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """A control endpoint that does with a method and a document what the test says; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.dumps(answer(self.command, json.loads(self.rfile.read(size) or "{}"))).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.77.1.5", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.77.1.5:{server.server_port}"
        server.shutdown()
        thread.join()


class Obedient:
    """A control endpoint, that stops to obey after a number of orders."""

    def __init__(self, orders: int) -> None:
        self.orders = orders
        self.state: dict[str, Any] = {"fail": None}

    def __call__(self, method: str, document: dict[str, Any]) -> dict[str, Any]:
        if method == "POST" and self.orders:
            self.orders -= 1
            self.state |= document
        return self.state


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        (0, "mock was told fail 500, and shows fail None as before"),
        (1, "mock still shows fail 500 after it was told to stop"),
    ],
)
def test_a_stand_in_that_does_not_obey_has_no_receipt(tmp_path: Path, orders: int, words: str) -> None:
    """One that answers 200 and does nothing is found out, at the beginning and at the end."""

    async def body(scene: FakeScene) -> None:
        with pytest.raises(NoReceipt, match=words):
            async with Misbehave("mock", how={"fail": 500}).inject(scene):
                assert orders

    with control_of(Obedient(orders)) as url:
        on_stage(tmp_path, url, body)


def test_one_that_stopped_in_between_has_no_receipt(tmp_path: Path) -> None:
    """A stand-in that behaves again before the fault is over, as after a restart, did not misbehave."""
    obedient = Obedient(9)

    async def body(scene: FakeScene) -> None:
        with pytest.raises(NoReceipt, match="mock shows fail None before it was to stop fail 500"):
            async with Misbehave("mock", how={"fail": 500}).inject(scene):
                obedient.state = {"fail": None}

    with control_of(obedient) as url:
        on_stage(tmp_path, url, body)


def test_an_error_inside_still_ends_it(tmp_path: Path) -> None:
    """However the nested steps end, the stand-in is told to stop."""
    obedient = Obedient(9)

    async def body(scene: FakeScene) -> None:
        with pytest.raises(RuntimeError):
            async with Misbehave("mock", how={"fail": 500}).inject(scene):
                raise RuntimeError

    with control_of(obedient) as url:
        on_stage(tmp_path, url, body)
    assert obedient.state == {"fail": None}


@pytest.mark.parametrize(
    ("how", "control", "words"),
    [
        ({"slwo": 1}, "/control", "unknown key slwo; did you mean slow?"),
        ({"fail": 500}, "/nothing", "answered 404"),
        ({"fail": 500}, "/health", "answered 405"),
        ({"fail": 500}, "", "mock has no 'control' endpoint"),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, how: dict[str, Any], control: str, words: str) -> None:
    """A mistaken order or endpoint ends in NoReceipt with the endpoint's own words."""

    async def body(scene: FakeScene) -> None:
        with pytest.raises(NoReceipt) as refused:
            async with Misbehave("mock", how=how).inject(scene):
                raise AssertionError
        assert words in str(refused.value)

    with running("mock_services", "openai", "--host", "127.77.1.4", "--port", "0") as mock:
        on_stage(tmp_path, mock.url, body, control)


def test_an_endpoint_that_does_not_show_what_it_does_is_no_proof(tmp_path: Path) -> None:
    """GET has to show every key that was asked for."""

    async def body(scene: FakeScene) -> None:
        with pytest.raises(NoReceipt, match=r"/control does not show fail: \{\}"):
            async with Misbehave("mock", how={"fail": 500}).inject(scene):
                raise AssertionError

    with control_of(lambda *_: {}) as url:
        on_stage(tmp_path, url, body)


def test_mistakes_are_seen_before_the_start(tmp_path: Path) -> None:
    """A service without a control endpoint, and a fault that says nothing to do wrong, are named."""
    services = [service_spec("mock", control="/control"), service_spec("router")]
    deaf = "worker cannot be told to misbehave: its kind declares no 'control'"
    file = write(
        tmp_path,
        "scenario: s\ntopology: topology.yaml\nsteps:\n  - {name: a, fault: {misbehave: worker}, for: 5s}\n",
    )

    assert Misbehave("mock", how={"fail": 500}).lint(services) == []
    assert mistakes(file) == [
        "4: misbehave says nothing to do wrong: write 'how: {fail: 500}'",
        f"4: {deaf}",
    ]
