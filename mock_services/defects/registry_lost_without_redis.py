"""A registry that forgets everybody when it loses Redis.

Must be caught by check `registered`, in step "Redis is killed::one goes on with what it knows".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.stores.redis import RedisStore


def panic(self: RedisStore, error: BaseException) -> None:
    """What cannot be looked up does not exist."""
    table = self._context.live.table
    for entry_id in list(table.entries):
        table.remove(entry_id, "abandoned")
    self._context.store_connected = False
    del error


PROGRAM = defective(program.PROGRAM, __doc__, {(RedisStore, "_lost"): panic})
