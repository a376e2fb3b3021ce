"""A gateway that goes on without Redis when it loses it, and never looks whether it is back.

Must be caught by check `http`, in step "gateway-a is connected again".
"""

import asyncio
from typing import Any

from mock_services.gateway_planting import defective_gateway
from system.gateway.sync.redis import RedisLink


async def session_once(self: RedisLink) -> None:
    """The first connection is the last."""
    if lost:
        await asyncio.Event().wait()
    try:
        await session(self)
    finally:
        lost[:] = [True] if self._was_open else []


lost: list[bool] = []
session: Any = RedisLink._session  # noqa: SLF001
PARTS = {(RedisLink, "_session"): session_once}
PROGRAM = defective_gateway(__name__, __doc__, PARTS)
