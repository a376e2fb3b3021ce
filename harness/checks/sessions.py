"""What the checks on sessions share: which service answered each session's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.requests import is_ok, serving_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.events import RequestDone
    from harness.evidence import Facts

NO_SESSIONS = "no answered request belongs to a session: say 'sessions: 40' in the load"

Key = tuple[str, str]
"""Where requests were sent, and their session: the same session at another router is another matter."""


def answers_of(requests: Iterable[RequestDone], facts: Facts) -> dict[Key, list[tuple[str, RequestDone]]]:
    """Session -> who served each of its answered requests, in the order in which they were sent."""
    found: dict[Key, list[tuple[str, RequestDone]]] = {}
    for done in sorted(requests, key=lambda request: request.started):
        if done.session and is_ok(done):
            name = serving_name(done, facts, facts.offering(done.model))
            found.setdefault((done.url, done.session), []).append((name, done))
    return found
