"""A router that lets a backend go on with an answer that nobody waits for any more.

Must be caught by check `http`, in step "the backend sees all of them leave".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.exchange import Exchange
from system.router.outcomes import Failure, Outcome
from system.router.upstream import Head


class Nobody:
    """Takes what still comes, and does nothing with it. An upstream.Sink."""

    def head(self, head: Head) -> None: ...

    def body(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    def done(self) -> None: ...

    def failed(self, failure: Failure, why: str) -> None: ...


class LastingExchange(Exchange):
    """The connection to the backend outlives the client."""

    def client_left(self) -> None:
        if self._connection is None:
            super().client_left()
            return
        self._connection.sink = Nobody()
        self._connection = None
        self._end(Outcome.CANCELLED)


PROGRAM = defective(program.PROGRAM, __doc__, {(proxy, "Exchange"): LastingExchange})
