"""What a client may meet. Each says what happened and what to do.

ClientError (a RuntimeError)
├── RegistryUnreachable       no useful answer from the registry
├── NoMatch                   the registry knows nobody who can do it
└── InferenceFailed           a worker answered with a status; also a grpc.RpcError, with code() and details()
    ├── InvalidInput          INVALID_ARGUMENT: the tensors are not what the model takes
    ├── ModelNotFound         NOT_FOUND
    ├── WorkerUnavailable     UNAVAILABLE: nobody answers at the endpoint, or it is leaving
    ├── WorkerOverloaded      RESOURCE_EXHAUSTED: too many calls, or too large a message
    └── DeadlineExceeded      no answer in time
InvalidValue (a ValueError)   an input that cannot be sent as it is
"""

from typing import Any

import grpc


class InvalidValue(ValueError):
    """An input that cannot become a tensor."""


class ClientError(RuntimeError):
    """Anything between the client and the answer."""


class RegistryUnreachable(ClientError):
    """The registry does not answer, or not as a registry."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"the registry at {url} cannot be asked: {why}; check the address in api_server and that it runs"
        )


class NoMatch(ClientError):
    """Nobody is registered for what was asked."""

    def __init__(self, capability: Any, url: str) -> None:
        super().__init__(
            f"No matching replica for: {capability} at {url}; look at {url}/registry for what is registered"
        )


class InferenceFailed(ClientError, grpc.RpcError):
    """A call that ended with a status."""

    def __init__(self, endpoint: str, code: grpc.StatusCode, details: str, hint: str = "") -> None:
        also = f"; {hint}" if hint else ""
        super().__init__(f"Inference failed: {code.name} from {endpoint}: {details}{also}")
        self.endpoint = endpoint
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


class InvalidInput(InferenceFailed):
    """The model does not take these tensors."""


class ModelNotFound(InferenceFailed):
    """The worker does not have the model."""


class WorkerUnavailable(InferenceFailed):
    """Nobody answers at the endpoint."""


class WorkerOverloaded(InferenceFailed):
    """The worker has a limit, and this call was beyond it."""


class DeadlineExceeded(InferenceFailed):
    """No answer came in time."""


_BY_CODE: dict[grpc.StatusCode, tuple[type[InferenceFailed], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidInput, ""),
    grpc.StatusCode.NOT_FOUND: (ModelNotFound, ""),
    grpc.StatusCode.UNAVAILABLE: (WorkerUnavailable, "check that a worker runs there and can be reached"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (WorkerOverloaded, ""),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        DeadlineExceeded,
        "pass a longer timeout, or look at the worker's log",
    ),
}


def failure(endpoint: str, error: Any, hint: str = "") -> InferenceFailed:
    """The typed error of what gRPC raised."""
    kind, usual = _BY_CODE.get(error.code(), (InferenceFailed, ""))
    return kind(endpoint, error.code(), error.details() or "", hint or usual)
