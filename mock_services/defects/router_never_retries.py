"""A router that tries no other backend when one has failed.

Must be caught by check `availability`, in step "chats go on while C is killed".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.exchange import Exchange


class OneAttempt(Exchange):
    """What fails has failed."""

    def _may_repeat(self, *, sent: bool, free: bool) -> bool:
        return False


PROGRAM = defective(program.PROGRAM, __doc__, {(proxy, "Exchange"): OneAttempt})
