"""A router that does not aggregate: its list of models is that of one backend.

Must be caught by check `models`, in step "the router offers every model, once each".
"""

from typing import Any

from mock_services.planting import defective
from system.router import pages, program
from system.router.models import list_models
from system.router.table import Table


def models_of_one(table: Table) -> dict[str, Any]:
    """The models of the backend that comes first by name."""
    document = list_models(table)
    first = min(table.backends, default=None)
    models = table.backends[first].entry.models if first else ()
    return {**document, "data": [model for model in document["data"] if model["id"] in models]}


PROGRAM = defective(program.PROGRAM, __doc__, {(pages, "list_models"): models_of_one})
