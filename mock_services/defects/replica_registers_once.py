"""A replica that registers when it starts and never again, also when its registry restarted.

Must be caught by check `registered`, in step "every replica is back".
"""

import aiohttp

from mock_services.planting import defective
from mock_services.replica import PROGRAM as REPLICA
from mock_services.replica_lease import ReplicaLease


async def hold_once(self: ReplicaLease, session: aiohttp.ClientSession, endpoint: str) -> None:
    """Hold on to the first connection; once it has ended, take itself for replaced."""
    try:
        await hold(self, session, endpoint)
    except (aiohttp.ClientError, OSError):
        if self.state == "unregistered":
            raise
    self.state = "replaced"


hold = ReplicaLease.hold
PROGRAM = defective(REPLICA, __doc__, {(ReplicaLease, "hold"): hold_once})
