"""Clients of workers: `from system.client import Client, AsyncClient, ConnectionMode`."""

from system.client.aio import AsyncClient
from system.client.calling import ConnectionMode
from system.client.client import Client
from system.client.errors import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidInput,
    InvalidValue,
    ModelNotFound,
    NoMatch,
    RegistryUnreachable,
    WorkerOverloaded,
    WorkerUnavailable,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConnectionMode",
    "DeadlineExceeded",
    "InferenceFailed",
    "InvalidInput",
    "InvalidValue",
    "ModelNotFound",
    "NoMatch",
    "RegistryUnreachable",
    "WorkerOverloaded",
    "WorkerUnavailable",
]
