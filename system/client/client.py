"""The blocking client. May be used from several threads."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import grpc
import numpy as np

from system.client.calling import (
    AS_BYTES,
    CHANNEL_OPTIONS,
    SERVICE,
    ConnectionMode,
    RecentFailures,
    Settings,
    Tries,
    is_stale,
    outputs_of,
    request_of,
    streamed_outputs,
)
from system.client.discovery import WITHIN, Replica, find, search
from system.client.errors import NoMatch, RegistryUnreachable, failure
from system.datatypes import Array
from system.proto.inference_pb2 import (
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveRequest,
    ServerLiveResponse,
)


class Connection:
    """A channel to an endpoint, with the calls that are made over it."""

    def __init__(self, replica: Replica, settings: Settings) -> None:
        self.replica = replica
        self._channel = (
            grpc.insecure_channel(replica.endpoint, CHANNEL_OPTIONS)
            if settings.credentials is None
            else grpc.secure_channel(replica.endpoint, settings.credentials, CHANNEL_OPTIONS)
        )
        self.infer = self._channel.unary_unary(f"{SERVICE}/ModelInfer", *AS_BYTES)
        self.stream = self._channel.unary_stream(f"{SERVICE}/ModelStreamInfer", *AS_BYTES)

    def ask(self, method: str, request: Any, answer: Any, **options: Any) -> Any:
        """A call of messages."""
        call = self._channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return call(request, **options)

    def close(self) -> None:
        self._channel.close()


class Client:
    """Calls models of a worker at an endpoint, or of one that the registry finds.

    `token` is sent to both, `ca` (a PEM file) makes the calls to the worker TLS, `timeout` is the default of
    every call, in seconds.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        api_server: str | None = None,
        capability: Mapping[str, Any] | None = None,
        lazy_connect: bool = True,  # noqa: FBT001, FBT002 - the seed's signature
        *,
        timeout: float | None = None,
        token: str | None = None,
        ca: str | Path | None = None,
    ) -> None:
        self._settings = Settings(
            endpoint=endpoint,
            api_server=api_server,
            capability=capability,
            timeout=timeout,
            token=token,
            ca=None if ca is None else Path(ca),
        )
        self._lock = threading.Lock()
        self._recent = RecentFailures()
        self._replica = Replica(endpoint, None) if endpoint else None
        self._connection: Connection | None = None
        if not lazy_connect:
            self._connected(Tries.of(timeout, retries=False))

    @property
    def mode(self) -> ConnectionMode:
        """Whether the endpoint was given or is discovered."""
        return self._settings.mode

    @property
    def endpoint(self) -> str | None:
        """The worker's endpoint; None before it was discovered."""
        return self._replica.endpoint if self._replica else None

    @property
    def replica_id(self) -> str | None:
        """The discovered worker's name; None in direct mode."""
        return self._replica.replica_id if self._replica else None

    @overload
    def infer(
        self,
        model_name: str,
        inputs: Mapping[str, np.ndarray[Any, Any]],
        version: str = "",
        retry_on_failure: bool = True,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
        as_numpy: None = None,
    ) -> dict[str, Array]: ...

    @overload
    def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Sequence[Any]],
        version: str = "",
        retry_on_failure: bool = True,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
        as_numpy: None = None,
    ) -> dict[str, list[Any]]: ...

    @overload
    def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        retry_on_failure: bool = True,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> dict[str, Any]: ...

    def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        retry_on_failure: bool = True,  # noqa: FBT001, FBT002 - the seed's signature
        *,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> dict[str, Any]:
        """The model's outputs: lists for lists, arrays where an input was one, or as `as_numpy` says.

        With `retry_on_failure`, in discovery mode, an endpoint that answers as if it were out of date is
        forgotten, another one is discovered, and the call is repeated there.
        """
        data, arrays = request_of(model_name, inputs, version)
        tries = self._tries(timeout, retry_on_failure)
        while True:
            connection = self._connected(tries)
            try:
                answer = connection.infer(data, timeout=tries.left, metadata=self._settings.metadata)
            except grpc.RpcError as error:
                self._failed(connection, error, tries)
            else:
                return outputs_of(answer, as_numpy=arrays if as_numpy is None else as_numpy)

    def stream(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The outputs of a model that streams, as they come. Only a stream that has not begun is repeated."""
        data, arrays = request_of(model_name, inputs, version)
        wanted = arrays if as_numpy is None else as_numpy
        tries = self._tries(timeout, retry_on_failure)
        begun = False
        while True:
            connection = self._connected(tries)
            try:
                for answer in connection.stream(data, timeout=tries.left, metadata=self._settings.metadata):
                    begun = True
                    yield streamed_outputs(connection.replica.endpoint, answer, as_numpy=wanted)
            except grpc.RpcError as error:
                if begun:
                    raise failure(connection.replica.endpoint, error) from None
                self._failed(connection, error, tries)
            else:
                return

    def is_alive(self) -> bool:
        """Whether the worker answers."""
        answer = self._asked("ServerLive", ServerLiveRequest(), ServerLiveResponse)
        return answer is not None and bool(answer.live)

    def is_model_ready(self, name: str, version: str = "") -> bool:
        """Whether the worker can answer for a model."""
        answer = self._asked("ModelReady", ModelReadyRequest(name=name, version=version), ModelReadyResponse)
        return answer is not None and bool(answer.ready)

    def model_metadata(self, name: str, version: str = "") -> ModelMetadataResponse:
        """The model's inputs and outputs."""
        connection = self._connected(Tries.of(self._settings.timeout, retries=False))
        try:
            answer: ModelMetadataResponse = connection.ask(
                "ModelMetadata",
                ModelMetadataRequest(name=name, version=version),
                ModelMetadataResponse,
                timeout=self._settings.timeout,
                metadata=self._settings.metadata,
            )
        except grpc.RpcError as error:
            raise failure(connection.replica.endpoint, error) from None
        return answer

    def close(self) -> None:
        """Close the connection; the next call opens another to the same endpoint."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tries(self, timeout: float | None, retry: bool) -> Tries:  # noqa: FBT001
        wanted = self._settings.timeout if timeout is None else timeout
        return Tries.of(wanted, retries=retry and self.mode is ConnectionMode.DISCOVERY)

    def _connected(self, tries: Tries) -> Connection:
        if (connection := tries.fit(self._connection)) is not None:
            return connection
        with self._lock:
            if (connection := tries.fit(self._connection)) is None:
                if self._replica is None or self._replica.endpoint in tries.failed:
                    self._replica = self._discovered(tries)
                connection = self._connection = Connection(self._replica, self._settings)
            return connection

    def _discovered(self, tries: Tries) -> Replica:
        settings = self._settings
        assert settings.api_server is not None
        assert settings.capability is not None
        avoided = self._recent.still(time.monotonic())
        searching = search(settings.api_server, settings.capability, tries.failed, avoided)
        try:
            return find(searching, settings.token, min(WITHIN, tries.left or WITHIN))
        except (NoMatch, RegistryUnreachable) as error:
            raise tries.nobody_else(error) from None

    def _failed(self, connection: Connection, error: grpc.RpcError, tries: Tries) -> None:
        """Forget an endpoint that may be out of date; raises unless the call may be repeated elsewhere.

        The connection is left to calls of other threads, which a worker that leaves still answers.
        """
        if is_stale(error) and self.mode is ConnectionMode.DISCOVERY:
            with self._lock:
                self._recent.add(connection.replica.endpoint, time.monotonic())
                if self._connection is connection:
                    self._connection = self._replica = None
        tries.failed_at(connection.replica.endpoint, error)

    def _asked(self, method: str, request: Any, answer: Any) -> Any:
        connection = self._connected(Tries.of(self._settings.timeout, retries=False))
        try:
            return connection.ask(
                method, request, answer, timeout=self._settings.timeout, metadata=self._settings.metadata
            )
        except grpc.RpcError:
            return None
