"""Who a running worker is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Its name at the registries, and where these are."""

    replica_id: str = ""
    registries: tuple[str, ...] = ()
