"""What the HTTP half needs of the gRPC half: called over gRPC also when both are one program.

So there is one path, whether the halves run together or apart, and the HTTP half outlives the other.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from system.balancer.links import OPTIONS
from system.proto import load_balancer_pb2 as pb
from system.proto import load_balancer_pb2_grpc as stubs

QUICKLY = 5.0
SLOWLY = 10.0


class Unavailable(Exception):
    """The gRPC half cannot be asked; says where it was looked for, and why."""


class GrpcHalf:
    """The balancer behind a HOST:PORT."""

    def __init__(
        self, target: str, token: str | None = None, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self._target = target
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, OPTIONS)
        self._stub: Any = stubs.LoadBalancerStub(self._channel)

    async def close(self) -> None:
        await self._channel.close(None)

    async def health(self) -> pb.HealthResponse:
        answer: pb.HealthResponse = await self._asked(self._stub.HealthCheck, QUICKLY)
        return answer

    async def fleet(self) -> pb.FleetResponse:
        answer: pb.FleetResponse = await self._asked(self._stub.GetFleet, QUICKLY)
        return answer

    async def reassign(self) -> pb.ReassignmentResponse:
        answer: pb.ReassignmentResponse = await self._asked(self._stub.ReassignModels, SLOWLY)
        return answer

    async def _asked(self, call: Any, within: float) -> Any:
        try:
            return await call(pb.Empty(), timeout=within, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(error) from None

    async def ask(self, request: pb.AskRequest) -> AsyncIterator[pb.AskEvent]:
        """What happens to a question; raises Unavailable, or ValueError for options that cannot be."""
        try:
            async for event in self._stub.Ask(request, metadata=self._metadata):
                yield event
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise ValueError(error.details()) from None
            raise self._unavailable(error) from None

    def _unavailable(self, error: grpc.aio.AioRpcError) -> Unavailable:
        return Unavailable(f"{self._target}: {error.code().name}: {error.details()}")
