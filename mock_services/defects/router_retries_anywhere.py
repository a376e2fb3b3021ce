"""A router that, when a backend has failed, tries any other, whatever model that has.

Must be caught by check `right_model`, in step "C hangs, though its health is well::no request
fails".
"""

from mock_services.planting import defective
from system.router import program, proxy
from system.router.backends import Backend
from system.router.exchange import Exchange


class AnywhereExchange(Exchange):
    """The first attempt goes to a backend with the model, further ones to anybody."""

    def untried(self) -> list[Backend]:
        everyone = self.proxy.table.everyone.usable if self.tried else self.group.usable
        return [backend for backend in everyone if backend not in self.tried]


PROGRAM = defective(program.PROGRAM, __doc__, {(proxy, "Exchange"): AnywhereExchange})
