"""Ways to other processes: one file each; only this table knows their names.

A link is entered with the process's breakers and left with them; it yields None where the settings do not
ask for it. The nearest comes first; a probe is claimed at each of them, the farthest first, and sent if all
agree.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from system.gateway.sync.base import Ears, Link, RedisSettings, SyncSettings
from system.gateway.sync.machine import on_machine
from system.gateway.sync.redis import through_redis

LINKS: dict[str, Callable[[SyncSettings, Ears], AbstractAsyncContextManager[Link | None]]] = {
    "machine": on_machine,
    "redis": through_redis,
}

__all__ = ["LINKS", "Ears", "Link", "RedisSettings", "SyncSettings"]
