"""What a handler is told about its call, and how a streaming handler answers."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from system.worker.identity import Identity


class Context:
    """A call, as its handler sees it. May be used from any thread."""

    __slots__ = ("_cancelled", "_deadline", "_identity", "capability")

    def __init__(
        self, identity: "Identity", capability: Mapping[str, Any], remaining: float | None = None
    ) -> None:
        self._identity = identity
        self._deadline = None if remaining is None else time.monotonic() + remaining
        self._cancelled = False
        self.capability = capability

    @property
    def replica_id(self) -> str:
        """The name under which this worker is registered."""
        return self._identity.replica_id

    @property
    def time_remaining(self) -> float | None:
        """Seconds until the caller gives up; None: it waits for ever."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more: a long handler looks now and then, and stops."""
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True

    def call(
        self,
        model_name: str,
        inputs: Mapping[str, Any],
        capability: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Call another worker, at an endpoint or found by its capability. Not for async handlers."""
        from system.client import Client

        if endpoint is None and not capability:
            msg = "call needs either 'endpoint' or 'capability'"
            raise ValueError(msg)
        if endpoint is None and not self._identity.registries:
            msg = (
                "call by 'capability' needs a registry: start this worker with --registry, or pass 'endpoint'"
            )
            raise ValueError(msg)
        found: dict[str, Any] = (
            {"endpoint": endpoint}
            if endpoint is not None
            else {"api_server": self._identity.registries[0], "capability": capability}
        )
        with Client(**found) as client:
            return dict(client.infer(model_name, inputs, timeout=self.time_remaining))


class Stream:
    """Where a streaming handler puts its answers, until it is closed."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put
        self.closed = False
        self.failure: str | None = None

    def send(self, response: Any) -> None:
        """Send an answer: outputs by name, or a ModelInferResponse. Waits while the caller reads slowly."""
        if self.closed:
            msg = "Cannot send to a closed stream"
            raise RuntimeError(msg)
        self._put(response)

    def error(self, message: str) -> None:
        """Tell the caller what went wrong, and close."""
        if not self.closed:
            self.failure = message
            self.close()

    def close(self) -> None:
        """Nothing more will be sent."""
        self.closed = True
