"""A node's place in a balancer's table: joined, reported every second, joined again whenever it was lost."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from system.balancer.wire import SERVICE, model_message
from system.node.keeper import Keeper
from system.proto import load_balancer_pb2 as pb

log = logging.getLogger("node")

REPORT_EVERY = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
GOODBYE_WITHIN = 1.0
REPLACED_PAUSE = 10.0
OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Attendance:
    """Keeps a node registered until it is cancelled."""

    def __init__(
        self,
        server: str,
        info: Callable[[], pb.ClientInfo],
        keeper: Keeper,
        in_progress: Callable[[], int],
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
    ) -> None:
        self._server = server
        self._info = info
        self._keeper = keeper
        self._in_progress = in_progress
        self._credentials = credentials
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()

    async def keep(self) -> None:
        """Join, stay, and join again, with growing pauses while the balancer cannot be reached."""
        pause, said = FIRST_PAUSE, ""
        while not self._leaving.is_set():
            try:
                async with self._channel() as channel:
                    joined = await self._attend(channel)
                pause, said = (FIRST_PAUSE, "") if joined else (pause, said)
            except grpc.aio.AioRpcError as error:
                why = _words(error)
                if why != said:
                    log.warning("❌ Registration failed: %s: %s; trying on", self._server, why)
                said = why
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)
        self._left.set()

    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._server, OPTIONS)
        return grpc.aio.secure_channel(self._server, self._credentials, OPTIONS)

    async def leave(self) -> None:
        """Say goodbye, so that nobody asks this node any more."""
        self._leaving.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_WITHIN):
                await self._left.wait()

    async def _attend(self, channel: grpc.aio.Channel) -> bool:
        """One stay, from joining to its end; whether it came to be."""
        attend = channel.stream_stream(
            f"/{SERVICE}/Attend", pb.Attendance.SerializeToString, pb.Instruction.FromString
        )
        joined = False
        call: Any = attend(self._said(), metadata=self._metadata)
        async for instruction in call:
            if not joined:
                log.info("✅ Smart registration successful!")
            joined = True
            if instruction.drain and instruction.reason:
                log.warning("%s; two nodes with one --name? Trying again later", instruction.reason)
                await asyncio.sleep(REPLACED_PAUSE)
            if instruction.drain:
                log.info("the balancer at %s is about to leave", self._server)
                continue
            log.info("🤖 Assigned model: %s", instruction.assigned_model or f"none: {instruction.reason}")
            self._keeper.assign(instruction.assigned_model)
        return joined

    async def _said(self) -> AsyncIterator[pb.Attendance]:
        yield pb.Attendance(join=self._info())
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPORT_EVERY):
                    await self._leaving.wait()
            if not self._leaving.is_set():
                yield pb.Attendance(report=self._report())
        yield pb.Attendance(goodbye=pb.Empty())

    def _report(self) -> pb.Report:
        keeper = self._keeper
        return pb.Report(
            state=keeper.state,
            detail=keeper.detail,
            in_progress=self._in_progress(),
            installed=[model_message(model) for model in keeper.installed],
        )


def _words(error: grpc.aio.AioRpcError) -> str:
    hints = {
        grpc.StatusCode.UNAVAILABLE: "it cannot be reached; is the balancer started, and --server right?",
        grpc.StatusCode.UNAUTHENTICATED: "it wants a token; pass --token-file",
        grpc.StatusCode.UNIMPLEMENTED: "what listens there is no balancer of this kind; is --server right?",
    }
    hint = hints.get(error.code())
    return f"{hint} ({error.details()})" if hint else f"{error.code().name}: {error.details()}"
