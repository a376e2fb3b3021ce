"""The actions that need no role of their own: start, stop, wait, call. `harness.acts` performs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.kinds import Kinds
from harness.options import Names
from harness.quantities import Duration

Startable = Annotated[str, Names("service or host", "a service, or a host for all of its services")]


@dataclass(frozen=True, slots=True)
class Start:
    """Starts what an earlier step stopped, and waits until it is ready.

    ```yaml
    start: babysitter-c
    ```
    """

    service: Startable
    """What to start."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stops a service as an operator would; it stays down until a `start`.

    ```yaml
    stop: babysitter-c
    ```
    """

    service: Startable
    """What to stop."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Lets time pass while observers and loads go on. To wait for something, expect it `within` a time.

    ```yaml
    wait: 2s
    ```
    """

    seconds: Annotated[Duration, Field(alias="for", gt=0, le=60)]
    """How long; a minute at most."""


@dataclass(frozen=True, slots=True)
class Call:
    """Sends one HTTP request and records its answer.

    ```yaml
    call: {http: "{router.url}/health"}
    call: {http: "{registry.url}/services/x", method: DELETE}
    ```
    """

    http: str
    """The URL."""
    _: KW_ONLY
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further request headers."""
    json: Any = None
    """A body, sent as JSON."""
    body: str = ""
    """A body, sent as it is."""

    def __post_init__(self) -> None:
        if "://" not in self.http:
            msg = f"'{self.http}' is no URL; write all of it, such as \"{{router.url}}/health\""
            raise ValueError(msg)
        if self.json is not None and self.body:
            msg = "json and body are two bodies; a request has one"
            raise ValueError(msg)


ACTIONS: Kinds[Any] = Kinds(
    "action",
    {
        "start": "harness.actions:Start",
        "stop": "harness.actions:Stop",
        "wait": "harness.actions:Wait",
        "call": "harness.actions:Call",
    },
)
