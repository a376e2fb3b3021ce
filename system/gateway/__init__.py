"""A front for paid providers that fails over between them, with one mind across its processes.

`from system.gateway import Gateway, chat` is all that a program needs which does not talk HTTP. The names are
imported when they are first used: what only decides here should not bring clients along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from system.gateway.client import Gateway
    from system.gateway.decorator import chat
    from system.gateway.errors import (
        AllFailed,
        BadRequest,
        GatewayError,
        NoneAvailable,
        NotServed,
        ProviderError,
    )
    from system.gateway.providers.base import ProviderSettings
    from system.gateway.values import Answer, Chunk, Usage

_HOMES = {
    "AllFailed": "errors",
    "Answer": "values",
    "BadRequest": "errors",
    "Chunk": "values",
    "Gateway": "client",
    "GatewayError": "errors",
    "NoneAvailable": "errors",
    "NotServed": "errors",
    "ProviderError": "errors",
    "ProviderSettings": "providers.base",
    "Usage": "values",
    "chat": "decorator",
}

__all__ = [
    "AllFailed",
    "Answer",
    "BadRequest",
    "Chunk",
    "Gateway",
    "GatewayError",
    "NoneAvailable",
    "NotServed",
    "ProviderError",
    "ProviderSettings",
    "Usage",
    "chat",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
