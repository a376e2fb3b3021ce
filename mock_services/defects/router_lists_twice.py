"""A router that lists a model once for each backend that has it.

Must be caught by check `models`, in step "the router offers every model, once each".
"""

from typing import Any

from mock_services.planting import defective
from system.router import pages, program
from system.router.models import list_models
from system.router.table import Table


def models_of_each(table: Table) -> dict[str, Any]:
    """A line per model and backend."""
    document = list_models(table)
    data = [model for model in document["data"] for _ in table.groups[model["id"]].usable]
    return {**document, "data": data}


PROGRAM = defective(program.PROGRAM, __doc__, {(pages, "list_models"): models_of_each})
