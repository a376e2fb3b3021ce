"""A router that sends a request to any backend, whatever model it is for.

Must be caught by check `right_model`, in step "a chat with model-1 is answered by a service that has it".
"""

from mock_services.planting import defective
from system.router import program
from system.router.backends import Backend
from system.router.entries import Entry
from system.router.table import Table


class BlindTable(Table):
    """Every backend belongs to every model's group."""

    def _join_groups(self, backend: Backend, entry: Entry) -> None:
        super()._join_groups(backend, entry)
        for group in self.groups.values():
            group.members.update(self.backends)
            group.refresh()

    def _leave_groups(self, backend: Backend) -> None:
        super()._leave_groups(backend)
        for group in self.groups.values():
            group.members.pop(backend.name, None)
            group.refresh()


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "Table"): BlindTable})
