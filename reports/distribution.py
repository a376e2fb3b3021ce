"""The numbers of a distribution check as a value that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.model import Distribution, Share


def distribution_of(numbers: Mapping[str, Any]) -> Distribution | None:
    """Who served how many, if a check put that into its numbers as `backends`; None for anything else."""
    backends = numbers.get("backends")
    if not isinstance(backends, list) or not all(isinstance(b, Mapping) and "name" in b for b in backends):
        return None
    total = sum(int(b.get("observed", 0)) for b in backends)
    return Distribution(
        policy=str(numbers.get("policy", "")),
        total=total,
        shares=tuple(_share(b, total) for b in backends),
        p=_number(numbers.get("p")),
        alpha=_number(numbers.get("alpha")),
        detect=_number(numbers.get("detect")),
    )


def _share(backend: Mapping[str, Any], total: int) -> Share:
    count = int(backend.get("observed", 0))
    return Share(
        name=str(backend["name"]),
        count=count,
        share=count / total if total else 0.0,
        expected=_number(backend.get("expected")),
        low=_number(backend.get("low")),
        high=_number(backend.get("high")),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
