"""A router that neither gives up on a backend's silence nor heeds that its probes are not answered.

Must be caught by check `availability`, in step "C freezes::no request fails".
"""

from dataclasses import replace
from math import inf
from typing import Any

from mock_services.planting import defective
from system.router import program
from system.router.backends import Backend
from system.router.proxy import Proxy
from system.router.table import Table


class PatientProxy(Proxy):
    """Believes that an answer will come."""

    def __init__(self, table: Table, **given: Any) -> None:
        super().__init__(table, **given)
        self.timeouts = replace(self.timeouts, first_byte=inf)

    def suspect(self, backend: Backend, why: str) -> None:
        """Nothing follows from it."""

    silent = suspect


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Proxy"): PatientProxy})
