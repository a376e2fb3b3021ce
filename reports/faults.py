"""Faults of a history, each with its receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.events import FaultHealed, FaultHealing, FaultProven, FaultRequested, FaultUnproven
from reports.model import FaultReport

if TYPE_CHECKING:
    from harness.history import Record

_Later = FaultProven | FaultHealing | FaultHealed | FaultUnproven
_NO_EFFECT = "its effect could not be proven"
_NOT_HEALED = "its end could not be proven"


def faults_of(records: Sequence[Record], end: float) -> tuple[FaultReport, ...]:
    """Every fault that was requested; one that was never healed lasts to the end of the run."""
    found: dict[str, FaultReport] = {}
    for record in records:
        event = record.event
        if isinstance(event, FaultRequested):
            found[event.fault] = FaultReport(
                id=event.fault,
                what=event.what,
                target=event.target,
                hits=event.hits,
                step=record.step,
                requested=record.t,
                ended=end,
            )
        elif isinstance(event, _Later) and event.fault in found:
            found[event.fault] = _next(found[event.fault], record.t, event)
    return tuple(found.values())


def _next(fault: FaultReport, t: float, event: _Later) -> FaultReport:
    match event:
        case FaultProven():
            return replace(fault, proven=t, receipt=event.receipt)
        case FaultHealing():
            return replace(fault, healing=t)
        case FaultHealed():
            return replace(fault, healed=t, ended=t, healed_receipt=event.receipt)
        case FaultUnproven():
            what = _NO_EFFECT if event.phase == "effect" else _NOT_HEALED
            reason = f"{what}: {event.reason}"
            return replace(fault, unproven="; ".join(part for part in (fault.unproven, reason) if part))
