"""Where chats and documents are kept: SQLite in a file, or PostgreSQL for several processes."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module

from system.balancer.storage.base import Storage
from system.errors import StartupError

STORAGES = {
    "postgresql": "system.balancer.storage.postgres:postgres",
    "postgres": "system.balancer.storage.postgres:postgres",
    "sqlite": "system.balancer.storage.sqlite:sqlite",
}


def storage_at(database: str) -> AbstractAsyncContextManager[Storage]:
    """The storage of a URL, or of a file's path, not yet opened. Both raise StartupError."""
    scheme, separator, _ = database.partition("://")
    module, _, attribute = STORAGES[scheme if separator and scheme in STORAGES else "sqlite"].partition(":")
    try:
        opener = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        msg = f"--database {scheme}://: needs {error.name} (pip install 'muster[postgres]')"
        raise StartupError(msg) from None
    opened: AbstractAsyncContextManager[Storage] = opener(database)
    return opened
