"""Where the table is kept: in this process alone, or shared. One file each, named in this table."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from system.errors import UsageError
from system.registry.context import Context
from system.registry.stores.memory import in_memory
from system.registry.stores.redis import through_redis
from system.urls import without_secrets

Store = Callable[[str, Context], AbstractAsyncContextManager[None]]
"""Entered while the registry serves; gets the URL and the registry whose table it is."""

STORES: dict[str, Store] = {
    "memory": in_memory,
    "redis": through_redis,
    "rediss": through_redis,
    "redis+cluster": through_redis,
    "rediss+cluster": through_redis,
}


def store_of(url: str) -> Store:
    """The store that a URL names; UsageError where there is none."""
    scheme = urlsplit(url).scheme or url
    if scheme not in STORES:
        told = without_secrets(url)
        raise UsageError(
            [f"--store {told}: must be memory or an URL that begins with one of: {', '.join(STORES)}"]
        )
    return STORES[scheme]
