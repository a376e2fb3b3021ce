"""Channels to nodes, and questions over them: to ours with progress, to the original's without."""

import time
from collections.abc import Callable

import grpc
import grpc.aio

from system.balancer.asking import NodeFailed, Progress, Question
from system.balancer.fleet import Node
from system.balancer.wire import SERVICE, progress_of
from system.proto import load_balancer_pb2 as pb

LARGEST_MESSAGE = 256 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # nodes are peers; a proxy for the web cannot reach them
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 2_000),  # a node whose cable was pulled fails its question, and soon
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Links:
    """A channel for each node that was asked, until it leaves."""

    def __init__(self, token: str | None = None, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._credentials = credentials
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to an address."""
        if address not in self._channels:
            self._channels[address] = (
                grpc.aio.insecure_channel(address, OPTIONS)
                if self._credentials is None
                else grpc.aio.secure_channel(address, self._credentials, OPTIONS)
            )
        return self._channels[address]

    async def drop(self, address: str) -> None:
        """Close the channel to an address that nobody has any more."""
        channel = self._channels.pop(address, None)
        if channel is not None:
            await channel.close(None)

    async def close(self) -> None:
        for address in list(self._channels):
            await self.drop(address)

    async def ask(
        self, node: Node, question: Question, listener: Callable[[Progress], None]
    ) -> tuple[str, str]:
        """The node's text and model; raises NodeFailed. Its model is the one it has when it is asked."""
        if not node.model:
            raise NodeFailed(node.assigned.reason)
        request = pb.AIRequest(
            request_id=question.id,
            prompt=question.prompt,
            assigned_model=node.model,
            timestamp=int(time.time()),
            images=question.images,
        )
        try:
            if node.lease == "stream":
                answer = await self._work(node, request, listener)
            else:
                answer = await self._process(node, request)
        except grpc.aio.AioRpcError as error:
            msg = f"{error.code().name}: {error.details()}"
            raise NodeFailed(msg) from None
        if not answer.success:
            raise NodeFailed(answer.response_text or "it failed and did not say why")
        if not answer.response_text.strip():
            msg = "its answer is empty"
            raise NodeFailed(msg)
        return answer.response_text, answer.model_used or node.model

    async def _work(
        self, node: Node, request: pb.AIRequest, listener: Callable[[Progress], None]
    ) -> pb.AIResponse:
        work = self.channel(node.card.address).unary_stream(
            f"/{SERVICE}/Work", pb.AIRequest.SerializeToString, pb.WorkUpdate.FromString
        )
        async for update in work(request, metadata=self._metadata):
            if update.WhichOneof("of") == "answer":
                answer: pb.AIResponse = update.answer
                return answer
            listener(progress_of(update.status, node))
        msg = "it ended without an answer"
        raise NodeFailed(msg)

    async def _process(self, node: Node, request: pb.AIRequest) -> pb.AIResponse:
        process = self.channel(node.card.address).unary_unary(
            f"/{SERVICE}/ProcessAIRequest", pb.AIRequest.SerializeToString, pb.AIResponse.FromString
        )
        answer: pb.AIResponse = await process(request, metadata=self._metadata)
        if answer.request_id != request.request_id:
            msg = f"it answered request {answer.request_id!r}, which was not asked"
            raise NodeFailed(msg)
        return answer

    async def is_healthy(self, address: str, within: float) -> bool:
        """Whether a node answers its HealthCheck and says that it is well."""
        check = self.channel(address).unary_unary(
            f"/{SERVICE}/HealthCheck", pb.Empty.SerializeToString, pb.HealthResponse.FromString
        )
        try:
            answer: pb.HealthResponse = await check(pb.Empty(), timeout=within, metadata=self._metadata)
        except grpc.aio.AioRpcError:
            return False
        return answer.healthy
