"""What the checks on a registry's entries share: who is meant, who is missing, and who will not come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from harness.checks.sight import Sight, sight, source_of
from harness.checks.words import clock_time, sentences
from harness.events import ServiceExited, ServiceStarting
from harness.verdict import Verdict, failed

if TYPE_CHECKING:
    from harness.evidence import Evidence, Facts

PROTOCOL = "service_registry"
VIEW = "services"

NOBODY = "nothing states what should be registered: name the services, or state them in an inventory"


def entries_of(evidence: Evidence, at: str) -> Sight:
    """What was seen of the registry's entries."""
    return sight(evidence, VIEW, at, PROTOCOL)


def entry_views(facts: Facts, at: str) -> Sequence[tuple[str, str]]:
    """The view that such a check rests on."""
    source = source_of(facts, at, PROTOCOL)
    return [(source, VIEW)] if source else []


def stated(names: Sequence[str] | Literal["all"], facts: Facts) -> tuple[str, ...]:
    """The names that are meant; `all` are those that the topology states."""
    return facts.registered() if isinstance(names, str) else tuple(dict.fromkeys(names))


def strangers(names: Iterable[str], seen: Sight, facts: Facts) -> list[str]:
    """The names that no service has and that were never seen: whatever is said of them means nothing."""
    return [name for name in names if facts.owner(name) is None and seen.last_with(name) is None]


def nobody_has(names: Sequence[str]) -> str:
    """Why names that no service has cannot be judged."""
    verb = "has" if len(names) == 1 else "have"
    return f"no service registers as {' or '.join(names)}, and nothing ever {verb} been seen under that name"


def absence(name: str, seen: Sight) -> str:
    """How a name that should be there is missing."""
    last = seen.last_with(name)
    since = f"last seen at {clock_time(last.t)}" if last else "never seen"
    return f"{name} is not registered at {seen.source} ({since})"


def broken(findings: Sequence[str], names: Iterable[str], seen: Sight, evidence: Evidence) -> Verdict:
    """A failure; settled when a service that it waits for has exited and was not started again."""
    gone = [text for name in names if (text := _will_not_come(name, evidence))]
    late = [f"but {seen.silence}"] if seen.silence else []
    message = sentences([*dict.fromkeys(gone), *findings, *late], most=6)
    look = seen.latest
    return failed(message, settled=bool(gone), evidence=(look.n,) if look else ())


def _will_not_come(name: str, evidence: Evidence) -> str:
    owner = evidence.facts.owner(name)
    if owner is None:
        return ""
    ended: tuple[float, ServiceExited] | None = None
    for record in evidence.window():
        event = record.event
        if isinstance(event, ServiceStarting) and event.service == owner.name:
            ended = None
        elif isinstance(event, ServiceExited) and event.service == owner.name:
            ended = None if event.expected else (record.t, event)
    if ended is None:
        return ""
    return f"{owner.name} {_how(ended[1])} at {clock_time(ended[0])} and was not started again"


def _how(event: ServiceExited) -> str:
    how = f"was ended by {event.signal}" if event.signal else f"exited with code {event.code}"
    last = next((line.strip() for line in reversed(event.last_lines) if line.strip()), "")
    return f"{how} ('{last[:160]}')" if last else how
