"""How a scenario is run, as opposed to what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OBSERVE_EVERY = 0.1
"""Seconds between two polls of an observer on simulated hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Everything a run is told from outside.

    `base` is the run directory; `selected` are the ids of the steps that are judged (None: all); `nodeids`
    maps
    step ids to pytest's names; `again` is the command that repeats a step, with `{nodeid}` in it;
    `max_requests` caps every load; `keep` leaves the deployment standing until the run is interrupted;
    `headers` go with all the harness's own requests.
    """

    hosts_kind: str
    base: Path
    why_hosts: str = ""
    selected: frozenset[str] | None = None
    nodeids: Mapping[str, str] = field(default_factory=dict)
    again: str = ""
    keep: bool = False
    max_requests: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify_tls: bool = True
    observe_every: float = OBSERVE_EVERY
    environment: Mapping[str, str] = field(default_factory=dict)
