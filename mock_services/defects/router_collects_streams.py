"""A router that passes a stream on when it is complete.

Must be caught by check `streamed`, in step "streams arrive as they are made".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.exchange import Exchange


class CollectingExchange(Exchange):
    """What came is kept until all of it has."""

    def flush(self) -> None:
        if not self.streamed:
            super().flush()


PROGRAM = defective(program.PROGRAM, __doc__, {(proxy, "Exchange"): CollectingExchange})
