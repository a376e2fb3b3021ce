"""The table of this process alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.registry.context import Context


@asynccontextmanager
async def in_memory(_url: str, _context: Context) -> AsyncIterator[None]:
    """Nothing to do: the table is where it is."""
    yield
