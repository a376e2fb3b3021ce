"""Several processes behind one endpoint: spread, supervised, drained, never left behind."""

import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from system.client import Client, WorkerUnavailable
from system.proto.inference_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ServerLiveRequest,
    ServerReadyRequest,
)
from system.testing import Running, running
from system.worker.dispatcher import Dispatcher
from system.worker.processes import Process, Processes
from system.worker.service import SERVICE
from tests.system.worker.served import ADDRESS, run, stub_of

APP = """
import os, time
from pathlib import Path
import numpy as np
from system.worker import Worker

worker = Worker()
HERE = Path(__file__).parent

@worker.capability(type="pid")
def pid() -> dict[str, list]:
    return {"pid": [os.getpid()]}

@worker.capability(type="wait")
def wait(x: np.ndarray) -> dict:
    (HERE / f"in-{os.getpid()}").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return {"pid": [os.getpid()]}

@worker.capability(type="count")
def count(n: np.ndarray):
    for number in range(int(n[0])):
        yield {"number": [number]}
"""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Running, str, Path]]:
    """Two processes behind an endpoint."""
    (tmp_path / "several_app.py").write_text(APP, encoding="utf-8")
    argv = ("system", "worker", "several_app:worker", "--host", ADDRESS, "--port", "0", "--processes", "2")
    with running(*argv, env={"PYTHONPATH": str(tmp_path)}) as program:
        yield program, program.url.removeprefix("grpc://"), tmp_path


class Waiting:
    """A call that waits until it is told to go."""

    def __init__(self, endpoint: str) -> None:
        self.result: list[int] | WorkerUnavailable | None = None
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._call)
        self._thread.start()

    def _call(self) -> None:
        with Client(self._endpoint, timeout=10) as client:
            try:
                self.result = client.infer("wait", {"x": [1]})["pid"]
            except WorkerUnavailable as error:
                self.result = error

    def ended(self) -> "list[int] | WorkerUnavailable | None":
        self._thread.join(10)
        return self.result


def entered(folder: Path, count: int) -> list[int]:
    """The processes that are in a call, once there are so many."""
    deadline = time.monotonic() + 10
    while len(pids := [int(path.name[3:]) for path in folder.glob("in-*")]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return pids


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_calls_go_to_who_has_least_in_flight(two: tuple[Running, str, Path]) -> None:
    """Two waiting calls occupy two processes; streams pass through; SIGTERM lets both calls end."""
    program, endpoint, folder = two
    calls = [Waiting(endpoint) for _ in range(2)]
    pids = entered(folder, 2)
    with Client(endpoint, timeout=10) as client:
        assert list(client.stream("count", {"n": [3]})) == [{"number": [n]} for n in range(3)]
    program.signal(signal.SIGTERM)
    (folder / "go").touch()
    results = [call.ended() for call in calls]
    assert sorted(result[0] for result in results if isinstance(result, list)) == sorted(pids)
    assert program.wait() == 0
    assert all(gone(pid) for pid in pids)


@pytest.mark.slow
def test_a_process_that_dies_costs_its_own_calls_only(two: tuple[Running, str, Path]) -> None:
    """One of two is killed: its call ends with words, the other's is answered, and there are two again."""
    program, endpoint, folder = two
    calls = [Waiting(endpoint) for _ in range(2)]
    killed = entered(folder, 2)[0]
    os.kill(killed, signal.SIGKILL)
    with Client(endpoint, timeout=10) as client:
        seen: set[int] = set()
        deadline = time.monotonic() + 10
        while len(seen - {killed}) < 2 and time.monotonic() < deadline:
            if any(isinstance(call.result, WorkerUnavailable) for call in calls):
                seen.add(int(client.infer("pid", {})["pid"][0]))
        assert len(seen - {killed}) == 2
    (folder / "go").touch()
    results = [call.ended() for call in calls]
    (failure,) = [result for result in results if isinstance(result, WorkerUnavailable)]
    assert "the worker process that had this call ended" in str(failure)
    assert sum(isinstance(result, list) for result in results) == 1
    program.wait_for_line(f"worker process {killed} ended with -9")


@pytest.mark.slow
def test_no_process_outlives_a_parent_that_is_killed(two: tuple[Running, str, Path]) -> None:
    """SIGKILL leaves the parent no time to tell them."""
    program, endpoint, folder = two
    (folder / "go").touch()
    with Client(endpoint, timeout=10) as client:
        pids = {int(client.infer("pid", {})["pid"][0]) for _ in range(20)}
    program.signal(signal.SIGKILL)
    program.wait()
    assert all(gone(pid) for pid in pids)


def test_an_app_that_cannot_be_loaded_is_one_line() -> None:
    """The children's words, once."""
    argv = ("system", "worker", "nowhere:worker", "--host", ADDRESS, "--port", "0", "--processes", "2")
    with running(*argv, ready="") as program:
        assert program.wait() == 2
        assert program.lines == [
            "worker: nowhere:worker: cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'"
        ]


class Group(Processes):
    """Processes that were started elsewhere, or nowhere."""

    def __init__(self, **sockets: str) -> None:
        self.running = {slot: Stub(socket) for slot, socket in enumerate(sockets.values())}

    def least_busy(self) -> Process | None:
        """The first that is fit: the dead one is asked before the living."""
        return next((one for one in self.running.values() if not one.failed), None)


class Stub(Process):
    """A process of which only the socket matters."""

    def __init__(self, socket: str) -> None:
        self.in_flight = 0
        self.failed = False
        self.channel = grpc.aio.insecure_channel(f"unix:{socket}")


@asynccontextmanager
async def dispatching(group: Group) -> AsyncIterator[str]:
    """A dispatcher before these processes, at HOST:PORT."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Dispatcher(group).handler(),))
    port = server.add_insecure_port(f"{ADDRESS}:0")
    await server.start()
    try:
        yield f"{ADDRESS}:{port}"
    finally:
        await server.stop(None)
        for process in group.running.values():
            await process.channel.close(None)


def test_a_call_that_reached_nobody_goes_to_another_process(tmp_path: Path) -> None:
    """A process has died and nobody has noticed yet: calls that are sent now are not lost."""

    async def test() -> None:
        async def infer(request: ModelInferRequest, _: object) -> ModelInferResponse:
            return ModelInferResponse(model_name=request.model_name)

        child = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            infer, ModelInferRequest.FromString, ModelInferResponse.SerializeToString
        )
        handlers = grpc.method_handlers_generic_handler(SERVICE, {"ModelInfer": handler})
        child.add_generic_rpc_handlers((handlers,))
        child.add_insecure_port(f"unix:{tmp_path}/alive")
        await child.start()
        group = Group(dead=f"{tmp_path}/dead", alive=f"{tmp_path}/alive")
        async with dispatching(group) as endpoint, stub_of(endpoint) as stub:
            answer = await stub.ModelInfer(ModelInferRequest(model_name="m"))
            assert answer.model_name == "m"
            assert group.running[0].failed
        await child.stop(None)

    run(test())


def test_an_endpoint_without_a_process_lives_but_is_not_ready(tmp_path: Path) -> None:
    """Between the end of the last process and the start of the next, callers are told to wait, not to give up."""

    async def test() -> None:
        async with dispatching(Group()) as endpoint, stub_of(endpoint) as stub:
            assert (await stub.ServerLive(ServerLiveRequest())).live
            assert not (await stub.ServerReady(ServerReadyRequest())).ready

    run(test())
