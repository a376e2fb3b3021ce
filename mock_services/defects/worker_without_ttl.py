"""A worker that registers without a ttl, so that nobody notices when it freezes.

Must be caught by check `unregistered`, in step "a worker freezes::it is forgotten after its ttl of 2 s".
"""

from typing import Any

from mock_services.planting import defective
from system.worker import program
from system.worker.registrar import Entry


def endless(self: Entry) -> dict[str, Any]:
    """For as long as the connection lasts."""
    return {
        "replica_id": self.replica_id,
        "endpoint": self.endpoint,
        "capabilities": list(self.capabilities),
    }


PROGRAM = defective(program.PROGRAM, __doc__, {(Entry, "body"): property(endless)})
