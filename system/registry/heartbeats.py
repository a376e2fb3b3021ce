"""What a heartbeat says. Whatever cannot be read says nothing: that it came is what counts."""

import orjson

from system.registry.bodies import Heartbeat, fit_for_one_line
from system.registry.http import Request


async def read_heartbeat(request: Request) -> Heartbeat:
    """The status and the lease id that a heartbeat carries, if it does."""
    try:
        document = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError:
        return Heartbeat()
    said = document if isinstance(document, dict) else {}
    status, lease_id = said.get("status"), said.get("lease_id")
    return Heartbeat.model_construct(
        status=status if isinstance(status, str) and fit_for_one_line(status) else None,
        lease_id=None if lease_id is None else str(lease_id),
    )
