"""What a judgement can say, and how several are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The four outcomes of a judgement."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


_RANK = {Status.FAIL: 3, Status.UNKNOWN: 2, Status.PASS: 1, Status.NOT_APPLICABLE: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement: a status, a sentence that names the culprit, and what it rests on.

    `settled` says that waiting longer cannot change a verdict that is not a pass.
    `evidence` holds record numbers of the history; `numbers` holds what a report may draw (JSON values).
    """

    status: Status
    message: str
    settled: bool = False
    evidence: tuple[int, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


def passed(message: str, *, evidence: Iterable[int] = (), **numbers: Any) -> Verdict:
    """The promise was kept."""
    return Verdict(status=Status.PASS, message=message, evidence=tuple(evidence), numbers=numbers)


def failed(message: str, *, settled: bool = False, evidence: Iterable[int] = (), **numbers: Any) -> Verdict:
    """The promise was broken; `settled` when it can no longer be kept."""
    return Verdict(
        status=Status.FAIL, message=message, settled=settled, evidence=tuple(evidence), numbers=numbers
    )


def unknown(message: str, *, settled: bool = False, evidence: Iterable[int] = (), **numbers: Any) -> Verdict:
    """There was nothing, or not enough, to judge."""
    return Verdict(
        status=Status.UNKNOWN, message=message, settled=settled, evidence=tuple(evidence), numbers=numbers
    )


def not_applicable(message: str) -> Verdict:
    """The question does not arise on these hosts."""
    return Verdict(status=Status.NOT_APPLICABLE, message=message, settled=True)


def merge(statuses: Iterable[Status]) -> Status:
    """Fail beats unknown beats pass beats not-applicable; nothing at all is unknown."""
    return max(statuses, key=_RANK.__getitem__, default=Status.UNKNOWN)


def merge_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of several judged together: the worst status, and the messages that carry it."""
    parts = tuple(verdicts)
    if not parts:
        return unknown("nothing was judged")
    status = merge(part.status for part in parts)
    carrying = [part for part in parts if part.status is status]
    return Verdict(
        status=status,
        message="; ".join(dict.fromkeys(part.message for part in carrying)),
        settled=any(part.settled for part in carrying),
        evidence=tuple(dict.fromkeys(n for part in carrying for n in part.evidence)),
        numbers={key: value for part in parts for key, value in part.numbers.items()},
    )
