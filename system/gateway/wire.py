"""Circuits and tallies as JSON: instants become seconds from now, so that every reader may have its clock.

Decides only.
"""

from dataclasses import dataclass
from typing import Any

from system.breaker import State
from system.gateway.strategies.base import Tally
from system.gateway.transitions import Author, Circuit


class Garbled(Exception):
    """Something that no gateway has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a process has counted."""

    provider: str
    version: int
    """Of the circuit that was in force meanwhile."""
    tally: Tally
    tie: int
    """Whose."""
    serial: int
    """Counts what this process has told: the same may arrive twice."""


def circuit_to(provider: str, circuit: Circuit, now: float) -> dict[str, Any]:
    return {
        "provider": provider,
        "state": circuit.state.name,
        "version": circuit.version,
        "cause": circuit.cause,
        "by": circuit.author.name,
        "tie": circuit.author.tie,
        "due_in": round(circuit.due - now, 3),
        "failures": circuit.failures,
        "opened_at": circuit.opened_at,
        "last_failure": circuit.last_failure,
    }


def circuit_from(fields: Any, now: float) -> Circuit:
    """Raises Garbled."""
    try:
        return Circuit(
            state=State[fields["state"]],
            version=int(fields["version"]),
            cause=str(fields["cause"]),
            author=Author(name=str(fields["by"]), tie=int(fields["tie"])),
            due=now + float(fields["due_in"]),
            failures=int(fields["failures"]),
            opened_at=_maybe(fields["opened_at"]),
            last_failure=_maybe(fields["last_failure"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Garbled(str(error)) from None


def told_to(told: Told) -> dict[str, Any]:
    tally = told.tally
    return {
        "provider": told.provider,
        "version": told.version,
        "good": tally.good,
        "bad": tally.bad,
        "slow": tally.slow,
        "tie": told.tie,
        "serial": told.serial,
    }


def told_from(fields: Any) -> Told:
    """Raises Garbled."""
    try:
        return Told(
            provider=str(fields["provider"]),
            version=int(fields["version"]),
            tally=Tally(good=int(fields["good"]), bad=int(fields["bad"]), slow=int(fields["slow"])),
            tie=int(fields["tie"]),
            serial=int(fields["serial"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Garbled(str(error)) from None


def _maybe(value: Any) -> float | None:
    return None if value is None else float(value)
