"""A stand-in is told to do something wrong, through the control endpoint that its kind declares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urljoin

import httpx

from harness.diagnosis import explain_unreachable
from harness.faults.base import NoReceipt, Receipt
from harness.faults.lives import at_once, living
from harness.hosts.base import starts
from harness.options import TargetName
from harness.quantities import Duration

if TYPE_CHECKING:
    from harness.faults.base import Scene
    from harness.hosts.base import Target
    from harness.model import ServiceSpec

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Misbehave:
    """Tells a stand-in what to do wrong, and afterwards to do as before.

    Its kind declares `control`: a path where GET shows how it behaves, as a JSON object, and POST changes the
    keys it is given. Proof: what it shows has changed in every key that was asked for, is still the same when
    the fault ends, and is then what it was before.

    ```yaml
    - name: the first provider fails
      fault: {misbehave: openai, how: {fail: 500}}
      steps:
        - name: the second answers
          load: {http: /chat/direct, at: gateway, method: POST, json: {message: Hello}, requests: 20}
          expect: {served_by: [anthropic]}
    ```
    """

    # Only what muster started itself is told to fail; somebody's server is not.
    needs: ClassVar[str] = "Starts"

    target: TargetName
    """Who is to misbehave."""
    _: KW_ONLY
    how: Mapping[str, Any] = field(default_factory=dict)
    """What its control endpoint is told: `{fail: 500}`, `{hang: true}`, `{rate_limit: 2s}` for the mocks."""
    within: Duration = 5.0
    """How long telling it may take."""

    def lint(self, services: Sequence[ServiceSpec]) -> Sequence[str]:
        """Nothing to do wrong, or somebody who cannot be told."""
        meant = [spec for spec in services if self.target in (spec.name, spec.host)]
        deaf = [spec.name for spec in meant if not spec.control]
        found = [f"{name} cannot be told to misbehave: its kind declares no 'control'" for name in deaf]
        if not self.how:
            found.append("misbehave says nothing to do wrong: write 'how: {fail: 500}'")
        return found

    @asynccontextmanager
    async def inject(self, scene: Scene) -> AsyncIterator[Receipt]:
        starts(scene.hosts)
        targets = living(scene, self.target)
        receipt = Receipt()
        async with httpx.AsyncClient(timeout=self.within, trust_env=False) as client:
            controls = [_Control(client, scene, target, self.how) for target in targets]
            await at_once(control.look_before() for control in controls)
            try:
                receipt.effect = tuple(await at_once(control.begin() for control in controls))
                yield receipt
                await at_once(control.still_holds() for control in controls)
            finally:
                for control in controls:
                    with suppress(NoReceipt):
                        await control.end()
            receipt.healed = tuple(await at_once(control.is_as_before() for control in controls))


class _Control:
    """The control endpoint of one service."""

    def __init__(self, client: httpx.AsyncClient, scene: Scene, target: Target, how: State) -> None:
        self.client, self.how, self.target = client, how, target
        self.spec = scene.spec(target.service)
        self.url = urljoin(self.spec.url, self.spec.control)
        self.before: State = {}
        self.after: State = {}

    async def look_before(self) -> None:
        """Remember what it does now."""
        if not self.spec.control:
            msg = f"{self.target} has no 'control' endpoint that it could be told through"
            raise NoReceipt(msg)
        self.before = await self._state("GET", keys=())

    async def begin(self) -> str:
        """Tell it, and see that it does."""
        await self._state("POST", self.how)
        self.after = await self._state("GET")
        same = [key for key in self.how if self.after[key] == self.before.get(key)]
        if same:
            told, shown = _told(self.how, self.how), _told(self.after, same)
            msg = f"{self.target} was told {told}, and shows {shown} as before"
            raise NoReceipt(msg)
        return f"{self.target}: {_told(self.before, self.how)} -> {_told(self.after, self.how)} at {self.url}"

    async def still_holds(self) -> None:
        """See that nobody told it otherwise meanwhile, and that it was not started again."""
        now = await self._state("GET")
        changed = [key for key in self.how if now[key] != self.after[key]]
        if changed:
            shown, told = _told(now, changed), _told(self.after, changed)
            msg = f"{self.target} shows {shown} before it was to stop {told}"
            raise NoReceipt(msg)

    async def end(self) -> None:
        """Tell it to do as before."""
        await self._state("POST", {key: self.before.get(key) for key in self.how})

    async def is_as_before(self) -> str:
        """See that it does."""
        now = await self._state("GET")
        changed = [key for key in self.how if now[key] != self.before.get(key)]
        if changed:
            msg = f"{self.target} still shows {_told(now, changed)} after it was told to stop"
            raise NoReceipt(msg)
        return f"{self.target}: {_told(now, self.how)} again"

    async def _state(
        self, method: str, document: State | None = None, keys: Collection[str] | None = None
    ) -> State:
        wanted = self.how if keys is None else keys
        try:
            answer = await self.client.request(method, self.url, json=document)
        except (httpx.HTTPError, OSError) as error:
            raise NoReceipt(explain_unreachable(self.url, error)) from error
        if not answer.is_success:
            msg = f"{method} {self.url} answered {answer.status_code}: {answer.text[:300]}"
            raise NoReceipt(msg)
        try:
            state = answer.json()
        except ValueError:
            state = None
        if not isinstance(state, dict) or not all(key in state for key in wanted):
            msg = f"{method} {self.url} does not show {', '.join(wanted)}: {answer.text[:300]}"
            raise NoReceipt(msg)
        return state


def _told(state: State, keys: Iterable[str]) -> str:
    return ", ".join(f"{key} {state.get(key)}" for key in keys)
