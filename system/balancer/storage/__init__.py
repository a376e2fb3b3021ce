"""Where chats and documents are kept: SQLite in a file, or PostgreSQL for several processes."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module

from system.balancer.storage.base import Storage

STORAGES = {
    "postgresql": "system.balancer.storage.postgres:postgres",
    "postgres": "system.balancer.storage.postgres:postgres",
    "sqlite": "system.balancer.storage.sqlite:sqlite",
}


def storage_at(database: str) -> AbstractAsyncContextManager[Storage]:
    """The storage of a URL, or of a file's path, not yet opened. Opening raises StartupError."""
    scheme, separator, _ = database.partition("://")
    module, _, attribute = STORAGES[scheme if separator and scheme in STORAGES else "sqlite"].partition(":")
    opened: AbstractAsyncContextManager[Storage] = getattr(import_module(module), attribute)(database)
    return opened
