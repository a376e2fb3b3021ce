"""When a started service is ready."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from harness.clock import SystemClock
from harness.errors import EnvironmentFailure
from harness.hosts.base import Exit
from harness.model import Ready, ServiceSpec
from harness.readiness import wait_ready
from harness.testing import FakeService, service_spec

ADDRESS = "127.77.4.1"


def service_with(ready: Ready | None, **fields: Any) -> FakeService:
    service = FakeService(service_spec("router", ready=ready, **fields), ADDRESS)
    service.ended = asyncio.get_running_loop().create_future()
    return service


async def wait(service: FakeService) -> str:
    return await wait_ready(service, service.spec, clock=SystemClock())


@asynccontextmanager
async def http_server(*answers: bytes) -> AsyncIterator[int]:
    """Answers with these status lines, one a request, the last one for ever; the port."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        status = left.pop(0) if len(left) > 1 else left[0]
        if line.startswith(b"GET /health?deep=1 "):
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, ADDRESS, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_http_waits_for_a_2xx() -> None:
    """A 503 is not ready, a later 204 is."""

    async def main() -> str:
        async with http_server(
            b"503 Service Unavailable", b"503 Service Unavailable", b"204 No Content"
        ) as port:
            url = f"http://{ADDRESS}:{port}"
            return await wait(service_with(Ready(http="/health?deep=1", within=5), url=url))

    assert asyncio.run(main()).endswith("/health?deep=1 answers 2xx")


def test_http_that_never_is_ready_names_the_last_answer() -> None:
    """Time-out: condition, limit and what was answered last."""

    async def main() -> None:
        async with http_server(b"503 Service Unavailable") as port:
            url = f"http://{ADDRESS}:{port}"
            await wait(service_with(Ready(http="/health?deep=1", within=0.1), url=url))

    with pytest.raises(
        EnvironmentFailure,
        match=r"router was not ready within 0.1 s \(when GET .*/health\?deep=1 answers 2xx\): "
        "it answered 503 Service Unavailable; it logged nothing",
    ):
        asyncio.run(main())


def test_something_else_than_http_is_named() -> None:
    """A program that closes without an HTTP answer is told from one that is not there."""

    async def main(path: str) -> None:
        async with http_server(b"200 OK") as port:
            await wait(service_with(Ready(http=path, within=0.05), url=f"http://{ADDRESS}:{port}"))

    with pytest.raises(EnvironmentFailure, match="did not speak HTTP"):
        asyncio.run(main("/other"))


def test_a_path_without_a_url_is_named() -> None:
    """`ready: {http: /health}` on a service without a url is a mistake that is said."""
    with pytest.raises(EnvironmentFailure, match="has no url that this could be a path of"):
        asyncio.run(_wait_for(Ready(http="/health")))


async def _wait_for(ready: Ready | None, **fields: Any) -> str:
    return await wait(service_with(ready, **fields))


def test_tcp_waits_until_the_port_accepts() -> None:
    """A port that opens later is waited for."""

    async def main() -> str:
        probe = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, 0)
        port = probe.sockets[0].getsockname()[1]
        probe.close()
        await probe.wait_closed()
        waiting = asyncio.ensure_future(wait(service_with(Ready(tcp=port, within=5))))
        await asyncio.sleep(0)
        async with await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, port):
            return await waiting

    assert "accepts at port" in asyncio.run(main())


def test_a_closed_port_is_named() -> None:
    """Time-out on a port where nobody listens says exactly that."""
    with pytest.raises(EnvironmentFailure, match=f"nobody listens on {ADDRESS}:9"):
        asyncio.run(_wait_for(Ready(tcp=9, within=0.02)))


def test_without_a_condition_all_ports_must_accept() -> None:
    """No stated condition: the service's ports; no ports either: it has started."""
    assert asyncio.run(_wait_for(None)) == "it has started"
    with pytest.raises(EnvironmentFailure, match="accepts at port 9 and 10"):
        asyncio.run(_wait_for(Ready(within=0.02), ports=(9, 10)))


class SlowHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # has no types
    """NOT_SERVING to the first call, SERVING afterwards."""

    def __init__(self) -> None:
        self.calls = 0

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        self.calls += 1
        statuses = health_pb2.HealthCheckResponse
        return statuses(status=statuses.NOT_SERVING if self.calls == 1 else statuses.SERVING)


@asynccontextmanager
async def grpc_server(add: Callable[[grpc.aio.Server], None]) -> AsyncIterator[int]:
    server = grpc.aio.server()
    add(server)
    port = server.add_insecure_port(f"{ADDRESS}:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


def test_grpc_waits_for_serving() -> None:
    """NOT_SERVING is not ready, a later SERVING is."""

    async def main() -> str:
        servicer = SlowHealth()
        async with grpc_server(
            lambda server: health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        ) as port:
            said = await wait(service_with(Ready(grpc=port, within=5)))
        assert servicer.calls == 2
        return said

    assert asyncio.run(main()).endswith("says SERVING")


def test_grpc_without_the_health_service_is_named() -> None:
    """A gRPC server that has no health service is told by its status."""

    async def main() -> None:
        async with grpc_server(lambda _: None) as port:
            await wait(service_with(Ready(grpc=port, within=0.3)))

    with pytest.raises(EnvironmentFailure, match="it answered UNIMPLEMENTED"):
        asyncio.run(main())
    assert health.SERVICE_NAME == "grpc.health.v1.Health"


def test_a_log_line_of_this_start_counts(tmp_path: Path) -> None:
    """The pattern is looked for in the whole log of this start, and not in an earlier start's."""
    log = tmp_path / "router.log"
    log.write_text("listening on 8000\n")

    async def main(log_from: int) -> str:
        service = service_with(Ready(log=r"^listening on \d+$", within=0.05))
        service.log, service.log_from = log, log_from
        return await wait(service)

    assert asyncio.run(main(0)) == r"its log matches '^listening on \d+$'"
    with pytest.raises(EnvironmentFailure, match="its log has 0 lines, none of which matches"):
        asyncio.run(main(18))


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (Exit(code=0), ""),
        (Exit(code=2), r"router was to end with exit code 0 and ended otherwise \(exit code 2\)"),
        (Exit(code=None, signal="SIGSEGV"), r"ended otherwise \(killed by SIGSEGV\)"),
        (None, "router was to end with exit code 0 within 0.05 s and still runs"),
    ],
)
def test_exit_waits_for_that_code(ended: Exit | None, message: str) -> None:
    """A service that is ready by ending must end in time and with the stated code."""

    async def main() -> str:
        service = service_with(Ready(exit=0, within=0.05))
        if ended is not None and service.ended is not None:
            service.ended.set_result(ended)
        return await wait(service)

    if not message:
        assert asyncio.run(main()) == "exit code 0"
        return
    with pytest.raises(EnvironmentFailure, match=message):
        asyncio.run(main())


def test_a_service_that_dies_ends_the_wait_at_once_with_its_last_lines(tmp_path: Path) -> None:
    """The wait does not go on to its limit, and the message holds exit code and log."""
    log = tmp_path / "a.log"
    log.write_text("starting\nNo module named 'torch'\n")

    async def main() -> None:
        service = service_with(Ready(tcp=9, within=30))
        service.log = log
        assert service.ended is not None
        asyncio.get_running_loop().call_later(0.02, service.ended.set_result, Exit(code=1))
        await wait(service)

    began = time.monotonic()
    with pytest.raises(
        EnvironmentFailure,
        match=r"^router ended \(exit code 1\) before it was ready; last lines:\n    starting\n    No module named",
    ):
        asyncio.run(main())
    assert time.monotonic() - began < 5


def test_cancelling_a_wait_leaves_no_task() -> None:
    """A wait that is cut short takes its own tasks with it."""

    async def main() -> int:
        waiting = asyncio.ensure_future(wait(service_with(Ready(tcp=9, within=30))))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


def test_the_spec_that_is_waited_for_is_the_given_one() -> None:
    """A spec whose strings were resolved later than the service's own is the one that counts."""

    async def main() -> str:
        service = service_with(Ready(tcp=9, within=30))
        resolved: ServiceSpec = service_spec("router")
        return await wait_ready(service, resolved, clock=SystemClock())

    assert asyncio.run(main()) == "it has started"
