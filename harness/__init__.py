"""muster's harness: declarative scenarios for services on several hosts, judged on a recorded history.

Names are imported when they are first asked for, so that a pytest run without scenarios pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC: dict[str, str] = {
    "Clock": "harness.clock",
    "Evidence": "harness.evidence",
    "Facts": "harness.evidence",
    "Verdict": "harness.verdict",
    "Status": "harness.verdict",
    "ScenarioError": "harness.errors",
    "EnvironmentFailure": "harness.errors",
    "CHECKS": "harness.checks",
    "FAULTS": "harness.faults",
    "LOADS": "harness.load",
    "HOSTS": "harness.hosts",
    "PROTOCOLS": "harness.protocols",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605  # derived from the table above


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        msg = f"module 'harness' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(_PUBLIC[name]), name)
