"""The list of models: exactly what may be asked for, each described as its backend describes it."""

from collections.abc import Callable, Mapping
from typing import Any

from system.router.backends import Backend
from system.router.table import Table


def list_models(table: Table, allowed: Callable[[str], bool] = lambda _: True) -> dict[str, Any]:
    """OpenAI's list of the models that some usable backend serves, sorted by id."""
    groups = sorted(table.groups.items())
    data = [describe(model, group.usable[0]) for model, group in groups if group.usable and allowed(model)]
    return {"object": "list", "data": data}


def describe(model: str, backend: Backend) -> dict[str, Any]:
    """The backend's own description of a model, or OpenAI's four fields."""
    listed = backend.entry.metadata.get("models_list")
    for described in listed if isinstance(listed, list) else ():
        if isinstance(described, Mapping) and described.get("id") == model:
            return dict(described)
    return {"id": model, "object": "model", "created": 0, "owned_by": "muster"}
