"""The client for asyncio: the same calls, awaited."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import grpc
import grpc.aio
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
from system.client.discovery import WITHIN, Replica, find_async, search
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
        credentials = settings.credentials
        self._channel = (
            grpc.aio.insecure_channel(replica.endpoint, CHANNEL_OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(replica.endpoint, credentials, CHANNEL_OPTIONS)
        )
        self.infer = self._channel.unary_unary(f"{SERVICE}/ModelInfer", *AS_BYTES)
        self.stream = self._channel.unary_stream(f"{SERVICE}/ModelStreamInfer", *AS_BYTES)

    async def ask(self, method: str, request: Any, answer: Any, **options: Any) -> Any:
        """A call of messages."""
        call = self._channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return await call(request, **options)

    async def close(self) -> None:
        await self._channel.close(None)


class AsyncClient:
    """What `Client` is, for asyncio. It discovers at the first call, never in the constructor."""

    def __init__(
        self,
        endpoint: str | None = None,
        api_server: str | None = None,
        capability: Mapping[str, Any] | None = None,
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
        self._discovering = asyncio.Lock()
        self._recent = RecentFailures()
        self._replica = Replica(endpoint, None) if endpoint else None
        self._connection: Connection | None = None

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
    async def infer(
        self,
        model_name: str,
        inputs: Mapping[str, np.ndarray[Any, Any]],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: None = None,
    ) -> dict[str, Array]: ...

    @overload
    async def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Sequence[Any]],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: None = None,
    ) -> dict[str, list[Any]]: ...

    @overload
    async def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> dict[str, Any]: ...

    async def infer(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> dict[str, Any]:
        """The model's outputs; see `Client.infer`."""
        data, arrays = request_of(model_name, inputs, version)
        tries = self._tries(timeout, retry=retry_on_failure)
        while True:
            connection = await self._connected(tries)
            try:
                answer = await connection.infer(data, timeout=tries.left, metadata=self._settings.metadata)
            except grpc.RpcError as error:
                self._failed(connection, error, tries)
            else:
                return outputs_of(answer, as_numpy=arrays if as_numpy is None else as_numpy)

    async def stream(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        version: str = "",
        *,
        retry_on_failure: bool = True,
        timeout: float | None = None,
        as_numpy: bool | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """The outputs of a model that streams, as they come. Only a stream that has not begun is repeated."""
        data, arrays = request_of(model_name, inputs, version)
        wanted = arrays if as_numpy is None else as_numpy
        tries = self._tries(timeout, retry=retry_on_failure)
        begun = False
        while True:
            connection = await self._connected(tries)
            try:
                answers = connection.stream(data, timeout=tries.left, metadata=self._settings.metadata)
                async for answer in answers:
                    begun = True
                    yield streamed_outputs(connection.replica.endpoint, answer, as_numpy=wanted)
            except grpc.RpcError as error:
                if begun:
                    raise failure(connection.replica.endpoint, error) from None
                self._failed(connection, error, tries)
            else:
                return

    async def is_alive(self) -> bool:
        """Whether the worker answers."""
        answer = await self._asked("ServerLive", ServerLiveRequest(), ServerLiveResponse)
        return answer is not None and bool(answer.live)

    async def is_model_ready(self, name: str, version: str = "") -> bool:
        """Whether the worker can answer for a model."""
        request = ModelReadyRequest(name=name, version=version)
        answer = await self._asked("ModelReady", request, ModelReadyResponse)
        return answer is not None and bool(answer.ready)

    async def model_metadata(self, name: str, version: str = "") -> ModelMetadataResponse:
        """The model's inputs and outputs."""
        connection = await self._connected(Tries.of(self._settings.timeout, retries=False))
        try:
            answer: ModelMetadataResponse = await connection.ask(
                "ModelMetadata",
                ModelMetadataRequest(name=name, version=version),
                ModelMetadataResponse,
                timeout=self._settings.timeout,
                metadata=self._settings.metadata,
            )
        except grpc.RpcError as error:
            raise failure(connection.replica.endpoint, error) from None
        return answer

    async def close(self) -> None:
        """Close the connection; the next call opens another to the same endpoint."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _tries(self, timeout: float | None, *, retry: bool) -> Tries:
        wanted = self._settings.timeout if timeout is None else timeout
        return Tries.of(wanted, retries=retry and self.mode is ConnectionMode.DISCOVERY)

    async def _connected(self, tries: Tries) -> Connection:
        if (connection := tries.fit(self._connection)) is not None:
            return connection
        async with self._discovering:
            if (connection := tries.fit(self._connection)) is None:
                if self._replica is None or self._replica.endpoint in tries.failed:
                    self._replica = await self._discovered(tries)
                connection = self._connection = Connection(self._replica, self._settings)
            return connection

    async def _discovered(self, tries: Tries) -> Replica:
        settings = self._settings
        assert settings.api_server is not None
        assert settings.capability is not None
        avoided = self._recent.still(time.monotonic())
        searching = search(settings.api_server, settings.capability, tries.failed, avoided)
        try:
            return await find_async(searching, settings.token, min(WITHIN, tries.left or WITHIN))
        except (NoMatch, RegistryUnreachable) as error:
            raise tries.nobody_else(error) from None

    def _failed(self, connection: Connection, error: Any, tries: Tries) -> None:
        """Forget an endpoint that may be out of date; raises unless the call may be repeated elsewhere."""
        if is_stale(error) and self.mode is ConnectionMode.DISCOVERY:
            self._recent.add(connection.replica.endpoint, time.monotonic())
            if self._connection is connection:
                self._connection = self._replica = None
        tries.failed_at(connection.replica.endpoint, error)

    async def _asked(self, method: str, request: Any, answer: Any) -> Any:
        connection = await self._connected(Tries.of(self._settings.timeout, retries=False))
        options = {"timeout": self._settings.timeout, "metadata": self._settings.metadata}
        try:
            return await connection.ask(method, request, answer, **options)
        except grpc.RpcError:
            return None
