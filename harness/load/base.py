"""What a load is: recorded client traffic, bounded in count and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.evidence import Facts
    from harness.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a load is handed: its id, where to record, and whom it may ask.

    `urls` maps service names to base URLs; `identity` lists the response headers that say who served,
    outermost
    first, and `pattern` a regular expression for the content; `requests` is the number to send when the
    scenario
    says `auto`; `headers` go with every request (an authorization token); `cap` bounds the requests of a
    load;
    `drain` is how many seconds requests in flight may take to end once the load is over.
    """

    load: str
    history: History
    facts: Facts
    urls: Mapping[str, str]
    identity: tuple[str, ...] = ()
    pattern: str = ""
    requests: int | None = None
    headers: Mapping[str, str]
    cap: int | None = None
    drain: float = 5.0
    id_prefix: str = "mu"


class Load(Protocol):
    """Frozen options, the first being what is asked for; `run` returns when all is sent and recorded.

    Cancelling `run` ends the load; requests in flight are recorded with the outcome unknown.
    """

    @property
    def at(self) -> str:
        """The service it is sent to; empty: the only one that speaks its protocol."""

    async def run(self, client: Client) -> None:
        """Send all requests and record LoadStarted, one RequestDone each, LoadFinished."""
