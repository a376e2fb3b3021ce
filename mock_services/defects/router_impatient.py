"""A router that gives up on whoever has not answered after a tenth of a second, whatever it was told.

Must be caught by check `served_by`, in step "A is slow, which is no reason to leave it::its requests wait,
and are answered".
"""

from dataclasses import replace
from typing import Any

from mock_services.planting import defective
from system.router import program
from system.router.proxy import Proxy
from system.router.table import Table


class ImpatientProxy(Proxy):
    """Does not heed --first-byte-timeout."""

    def __init__(self, table: Table, **given: Any) -> None:
        super().__init__(table, **given)
        self.timeouts = replace(self.timeouts, first_byte=0.1)


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Proxy"): ImpatientProxy})
