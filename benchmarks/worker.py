"""How fast and how small a worker is, beside a bare grpc.aio echo of the same messages in the same run.

Server and client are each bound to one core. Figures are medians of alternating runs; what counts are ratios.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from system.client import AsyncClient
from system.client.calling import AS_BYTES, CHANNEL_OPTIONS, request_of
from system.proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from system.worker import Worker
from system.worker.service import SERVICE

ADDRESS = "127.77.10.2"
SERVER_CORE, CLIENT_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")
METHOD = f"/{SERVICE}/ModelInfer"
BARE = [sys.executable, "-m", "benchmarks.worker", "bare"]
OURS = [
    sys.executable,
    *("-m", "system", "worker", "benchmarks.worker:WORKER", "--host", ADDRESS, "--port", "0"),
]
WORKER = Worker()


@WORKER.capability(type="pooled")
def pooled(x: NDArray[np.float32]) -> dict[str, Any]:
    return {"x": x}


@WORKER.capability(type="async")
async def on_the_loop(x: NDArray[np.float32]) -> dict[str, Any]:
    return {"x": x}


@WORKER.capability(type="inline", inline=True)
def inline(x: NDArray[np.float32]) -> dict[str, Any]:
    return {"x": x}


async def bare() -> None:
    """The yardstick: the same messages, read and written by their generated classes; bytes for large ones."""

    async def small(request: ModelInferRequest, _: Any) -> ModelInferResponse:
        given = request.inputs[0]
        answer = ModelInferResponse(model_name=request.model_name, id=request.id)
        answer.outputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        answer.raw_output_contents.append(request.raw_input_contents[0])
        return answer

    async def large(data: bytes, _: Any) -> bytes:
        return data

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    unary = grpc.unary_unary_rpc_method_handler
    small_handler = unary(small, ModelInferRequest.FromString, ModelInferResponse.SerializeToString)
    handlers = {"Small": small_handler, "Large": unary(large)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", handlers),))
    port = server.add_insecure_port(f"{ADDRESS}:0")
    await server.start()
    print(f"bare ready on grpc://{ADDRESS}:{port}", flush=True)
    await server.wait_for_termination()


@dataclass(frozen=True)
class Server:
    """A server under measurement."""

    endpoint: str
    pid: int
    ready_after: float

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(command: list[str]) -> Iterator[Server]:
    """A server on a core of its own."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509 - no threads yet
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield Server(url.partition("://")[2], process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(20)


async def small_calls(
    server: Server, method: str, model: str, seconds: float, tasks: int
) -> dict[str, float]:
    """Calls of four numbers, as many as there is time for."""
    data, _ = request_of(model, {"x": np.ones(4, np.float32)}, "")
    async with grpc.aio.insecure_channel(server.endpoint, CHANNEL_OPTIONS) as channel:
        call = channel.unary_unary(method, *AS_BYTES)
        await _timed(call, data, 0.3, tasks)
        cpu, started = server.cpu_seconds(), time.perf_counter()
        took = await _timed(call, data, seconds, tasks)
        elapsed, used = time.perf_counter() - started, server.cpu_seconds() - cpu
    return {
        "per_second": len(took) / elapsed,
        "cpu_ms_per_call": 1000 * used / len(took),
        "p99_ms": 1000 * sorted(took)[int(0.99 * len(took))],
    }


async def _timed(call: Any, data: bytes, seconds: float, tasks: int) -> list[float]:
    end, took = time.perf_counter() + seconds, list[float]()

    async def one() -> None:
        while (began := time.perf_counter()) < end:
            await call(data)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(tasks)))
    return took


async def large_call(server: Server, method: str, model: str, megabytes: int, times: int) -> float:
    """The median seconds of one tensor in and out."""
    data, _ = request_of(model, {"x": np.ones(megabytes * 250_000, np.float32)}, "")
    async with grpc.aio.insecure_channel(server.endpoint, CHANNEL_OPTIONS) as channel:
        call = channel.unary_unary(method, *AS_BYTES)
        return await _median(lambda: call(data), times)


async def _median(call: Callable[[], Awaitable[Any]], times: int) -> float:
    took = []
    await call()
    for _ in range(times):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def discovery_adds(times: int) -> float:
    """Milliseconds by which a call of a discovered endpoint is longer than a direct one."""
    registry = [sys.executable, *("-m", "system", "registry", "--host", ADDRESS, "--port", "0")]
    with serving(registry) as found_by:
        url = f"http://{found_by.endpoint}"
        with serving([*OURS, "--registry", url]) as server:
            await asyncio.sleep(0.5)
            inputs = {"x": np.ones(4, np.float32)}
            async with (
                AsyncClient(server.endpoint) as direct,
                AsyncClient(api_server=url, capability={"type": "inline"}) as discovering,
            ):
                medians = [
                    await _median(lambda: discovering.infer("inline", inputs), times)
                    - await _median(lambda: direct.infer("inline", inputs), times)
                    for _ in range(5)
                ]
    return 1000 * statistics.median(medians)


async def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Everything, alternating between the two."""
    runs: dict[str, list[dict[str, float]]] = {"bare": [], "async": [], "inline": [], "pooled": []}
    large: dict[str, list[float]] = {"bare": [], "async": []}
    with serving(BARE) as yardstick, serving(OURS) as ours:
        size = {"ready_after_s": ours.ready_after, "idle_mb": ours.resident_mb()}
        for _ in range(rounds):
            for name, one in runs.items():
                server, method = (yardstick, "/bare/Small") if name == "bare" else (ours, METHOD)
                one.append(await small_calls(server, method, name, seconds, 16))
            for name, times in large.items():
                server, method = (yardstick, "/bare/Large") if name == "bare" else (ours, METHOD)
                times.append(await large_call(server, method, name, 64, 5))
    small = {
        name: {key: statistics.median(run[key] for run in one) for key in one[0]}
        for name, one in runs.items()
    }
    seconds_large = {name: statistics.median(times) for name, times in large.items()}
    return {
        "small": small,
        "small_cpu_ratio": {
            name: small["bare"]["cpu_ms_per_call"] / one["cpu_ms_per_call"] for name, one in small.items()
        },
        "small_rate_ratio": {
            name: one["per_second"] / small["bare"]["per_second"] for name, one in small.items()
        },
        "large_64_mb_s": seconds_large,
        "large_ratio": seconds_large["bare"] / seconds_large["async"],
        "discovery_adds_ms": await discovery_adds(200),
        **size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=["all", "bare"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "bare":
        import uvloop

        uvloop.run(bare())
        return
    os.sched_setaffinity(0, {CLIENT_CORE})
    print(json.dumps(asyncio.run(measure(options.seconds, options.rounds)), indent=1))


if __name__ == "__main__":
    main()
