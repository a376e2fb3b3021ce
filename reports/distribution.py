"""The numbers of a distribution check as a value that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.model import Distribution, Share


def distribution_of(numbers: Mapping[str, Any]) -> Distribution | None:
    """Who served how many, as the check `distribution` puts it into its numbers; None for anything else."""
    drawn = numbers.get("distribution")
    if not isinstance(drawn, Mapping) or not isinstance(drawn.get("backends"), Mapping):
        return None
    total = int(drawn.get("n") or 0)
    return Distribution(
        policy=str(drawn.get("policy", "")),
        total=total,
        shares=tuple(
            _share(str(name), backend, total)
            for name, backend in drawn["backends"].items()
            if isinstance(backend, Mapping)
        ),
        p=_number(drawn.get("p_value")),
        alpha=_number(drawn.get("alpha")),
        detect=_number(drawn.get("detectable")),
    )


def _share(name: str, backend: Mapping[str, Any], total: int) -> Share:
    count = int(backend.get("observed") or 0)
    expected = _number(backend.get("expected"))
    return Share(
        name=name,
        count=count,
        share=count / total if total else 0.0,
        expected=expected / total if expected is not None and total else None,
        low=_number(backend.get("low")),
        high=_number(backend.get("high")),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
