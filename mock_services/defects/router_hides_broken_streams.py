"""A router that ends a stream as if it were complete when its backend broke it off.

Must be caught by check `http`, in step "B breaks its streams in the middle::the client is told".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.backends import Backend
from system.router.exchange import Exchange


class QuietExchange(Exchange):
    """The last chunk is followed by the end."""

    def _break_off(self, backend: Backend) -> None:
        self.flush()
        self.front.write(b"0\r\n\r\n")


PROGRAM = defective(program.PROGRAM, __doc__, {(proxy, "Exchange"): QuietExchange})
