"""A router that breaks off what is under way at a backend when that leaves the registry.

Must be caught by check `availability`, in step "streams go on while a server is shut down".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.exchange import Exchange
from system.router.outcomes import Failure
from system.router.proxy import Proxy
from system.router.table import Changes


class ImpatientExchange(Exchange):
    """Ends before it is over."""

    def drop(self) -> None:
        if self.started:
            self._stop()
            self.failed(Failure.BROKE, "it is not registered any more")


class DroppingProxy(Proxy):
    """Who is not registered is not to be spoken to."""

    def changed(self, changes: Changes) -> None:
        super().changed(changes)
        for exchange in list(self.exchanges):
            if isinstance(exchange, ImpatientExchange) and exchange.backend in changes.removed:
                exchange.drop()


PROGRAM = defective(
    program.PROGRAM,
    __doc__,
    {(program, "Proxy"): DroppingProxy, (proxy, "Exchange"): ImpatientExchange},
)
