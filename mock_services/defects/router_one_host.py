"""A router that uses the backends of one host only, the one that comes first by address.

Must be caught by check `distribution`, in step "model-1 is shared evenly by the services that have it".
"""

from mock_services.planting import defective
from system.router import program, table
from system.router.table import Group


class OneHostGroup(Group):
    """Backends elsewhere are not used."""

    def refresh(self) -> None:
        super().refresh()
        first = min((backend.entry.host for backend in self.usable), default="")
        self.usable = [backend for backend in self.usable if backend.entry.host == first]


PROGRAM = defective(program.PROGRAM, __doc__, {(table, "Group"): OneHostGroup})
