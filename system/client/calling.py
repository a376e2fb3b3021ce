"""What both clients have in common: settings, requests, answers, and what is worth another try. No I/O."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc

from system.client.discovery import Replica
from system.client.errors import ClientError, InferenceFailed, failure
from system.client.values import decoded, encoded
from system.proto.inference_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from system.tensors import joined, parse, read, write

SERVICE = "/inference.GRPCInferenceService"
MOST_TRIES = 3
AVOIDED_FOR = 5.0  # seconds: as long as a registry may take to notice that a machine is gone
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # workers are peers; a proxy for the web cannot reach them
    ("grpc.use_local_subchannel_pool", 1),  # a new channel does not inherit an older one's back-off
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # and so long an attempt to connect may take
]
STALE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED)
"""What an endpoint may answer that the registry would no longer name."""


AS_BYTES: tuple[Any, Any] = (None, None)  # no serializer: messages are made and read here


def is_stale(error: Any) -> bool:
    """Whether an error may come from an endpoint that is out of date."""
    return error.code() in STALE


class ConnectionMode(Enum):
    """How a client knows its worker."""

    DIRECT = "direct"
    DISCOVERY = "discovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a client was made with."""

    endpoint: str | None
    api_server: str | None
    capability: Mapping[str, Any] | None
    timeout: float | None
    token: str | None
    ca: Path | None

    def __post_init__(self) -> None:
        if self.endpoint and self.api_server:
            msg = "Cannot specify both 'endpoint' and 'api_server'"
            raise ValueError(msg)
        if not self.endpoint and not self.api_server:
            msg = "Must specify either 'endpoint' or 'api_server'"
            raise ValueError(msg)
        if self.api_server and not self.capability:
            msg = "'capability' required when using 'api_server'"
            raise ValueError(msg)

    @property
    def mode(self) -> ConnectionMode:
        return ConnectionMode.DIRECT if self.endpoint else ConnectionMode.DISCOVERY

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """How to talk TLS; None: in the clear."""
        return None if self.ca is None else grpc.ssl_channel_credentials(self.ca.read_bytes())


class Connected(Protocol):
    """A connection, of either client."""

    replica: Replica


C = TypeVar("C", bound=Connected)


class RecentFailures:
    """Endpoints that failed a moment ago: the registry may not know yet."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, endpoint: str, now: float) -> None:
        self._until[endpoint] = now + AVOIDED_FOR

    def still(self, now: float) -> set[str]:
        self._until = {endpoint: until for endpoint, until in self._until.items() if until > now}
        return set(self._until)


@dataclass(slots=True)
class Tries:
    """The tries of one call: which endpoints failed, and how much time is left."""

    until: float | None
    retries: bool
    failed: list[str] = field(default_factory=list)
    last: InferenceFailed | None = None

    @classmethod
    def of(cls, timeout: float | None, *, retries: bool) -> "Tries":
        return cls(None if timeout is None else time.monotonic() + timeout, retries)

    @property
    def left(self) -> float | None:
        return None if self.until is None else max(0.001, self.until - time.monotonic())

    def fit(self, connection: C | None) -> C | None:
        """The connection, unless its endpoint has failed in this very call."""
        return None if connection is None or connection.replica.endpoint in self.failed else connection

    def failed_at(self, endpoint: str, error: Any) -> None:
        """Take in a failure; raises it unless another endpoint may do better."""
        self.last = failure(endpoint, error)
        self.failed.append(endpoint)
        expired = self.until is not None and time.monotonic() >= self.until
        if not self.retries or expired or not is_stale(error) or len(self.failed) >= MOST_TRIES:
            raise self.last from None

    def nobody_else(self, error: ClientError) -> ClientError:
        """What to raise when the registry names nobody for another try."""
        if self.last is None:
            return error
        last = self.last
        return type(last)(last.endpoint, last.code(), last.details(), f"and nobody else can: {error}")


def request_of(model_name: str, inputs: Mapping[str, Any], version: str) -> tuple[bytes, bool]:
    """A call as bytes, and whether its inputs were arrays."""
    tensors, arrays = encoded(inputs)
    message = ModelInferRequest(model_name=model_name, model_version=version)
    return joined(message, write(message, tensors, raw=arrays)), arrays


def outputs_of(data: bytes, *, as_numpy: bool) -> dict[str, Any]:
    """The outputs in an answer."""
    response, raws = parse(ModelInferResponse, data)
    return decoded(read("output", response.outputs, raws), as_numpy=as_numpy)


def streamed_outputs(endpoint: str, data: bytes, *, as_numpy: bool) -> dict[str, Any]:
    """The outputs in one answer of a stream; raises InferenceFailed where it says what went wrong."""
    message = ModelStreamInferResponse.FromString(data)
    if message.error_message:
        raise InferenceFailed(endpoint, grpc.StatusCode.INTERNAL, message.error_message)
    response = message.infer_response
    tensors = read("output", response.outputs, list(response.raw_output_contents))
    return decoded(tensors, as_numpy=as_numpy)
