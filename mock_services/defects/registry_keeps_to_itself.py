"""A registry that takes `--store redis://...` and keeps its table to itself all the same.

Must be caught by check `registered`, in step "both registries show every replica".
"""

from mock_services.planting import defective
from system.registry import program
from system.registry.stores import Store
from system.registry.stores.memory import in_memory


def private(url: str) -> Store:
    """Whatever the operator said."""
    del url
    return in_memory


PROGRAM = defective(program.PROGRAM, __doc__, {(program, "store_of"): private})
