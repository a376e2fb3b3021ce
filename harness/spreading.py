"""How pytest-xdist spreads items: a scenario file is one unit, every other item a unit of its own."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

from harness.plugin import SUFFIX


class WholeScenarios(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Keeps the items of a scenario file on one worker: they share a deployment."""

    def _split_scope(self, nodeid: str) -> str:
        file, separator, _ = nodeid.partition(f"{SUFFIX}::")
        return f"{file}{SUFFIX}" if separator else nodeid
