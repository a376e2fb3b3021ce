"""Load `infer`: inference calls of virtual clients, plain or streamed, by discovery or direct."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harness.errors import EnvironmentFailure
from harness.events import CUT_OFF, Inferred, RequestDone
from harness.load.answers import session
from harness.load.inference_client import LATE, Answered, Habits, Place, Registry, VirtualClient
from harness.load.traffic import Plan, drive
from harness.options import ServiceName
from harness.protocols.kserve import channels, endpoint_of, request_of
from harness.quantities import Duration, Rate
from harness.queries import text_of
from harness.tensor_recipes import Letter, RecipeText, SizesText, made, unused
from harness.tensors import keep

if TYPE_CHECKING:
    from harness.load.base import Client

REGISTRY = "capability_registry"


@dataclass(frozen=True, slots=True)
class Infer:
    """Inference calls (Open Inference Protocol, gRPC) with random inputs, the same in every run.

    ```yaml
    load:
      infer: multiply
      at: registry
      inputs: {a: INT32, b: INT32 -1000..1000}
      requests: 200
      concurrency: 8
      retries: 2
    ```

    At a registry, clients ask it who can do `capability`, keep the endpoint they were given while it answers,
    and with `retries` send a call that it failed to somebody else; at a worker, they call that directly.

    An input is a datatype, a shape and a range, `FP32[n, 4] -1..1`; a letter is a length that changes from
    call to call and is the same in all inputs. `INT32` alone is `INT32[n]`; a range of BYTES is that of the
    elements' lengths.
    """

    model: str
    """The model that is called."""
    _: KW_ONLY
    at: ServiceName = ""
    """A registry, to be asked for replicas, or a worker; empty: the first that is a registry of replicas."""
    inputs: Mapping[str, RecipeText] = field(default_factory=dict)
    """Input -> datatype, shape and range."""
    sizes: Mapping[Letter, SizesText] = field(default_factory=dict)
    """Letter in a shape -> from and to which length it goes; 1..16 unless stated."""
    seed: int = 1
    """What the inputs follow from."""
    version: str = ""
    """The version of the model."""
    capability: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """What the registry is asked for; empty: `{type: MODEL}`."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a call goes to yet another replica when one is not there or no longer has the model."""
    discover: Literal["once", "always"] = "once"
    """Whether clients keep the endpoint that they were given, or ask before every call."""
    contents: Literal["raw", "typed"] = "raw"
    """How inputs travel: as bytes, or as lists of values."""
    stream: bool = False
    """Call ModelStreamInfer, and read all answers."""
    requests: Annotated[int, Field(gt=0, le=1_000_000)] | Literal["auto"] | None = None
    """How many; `auto` lets the check beside it say how many it needs."""
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 1
    """Clients, each with one call at a time."""
    rate: Rate | None = None
    """Calls a second, sent on schedule whether or not earlier ones have ended."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    timeout: Duration = 10.0
    """How long a call may take, with all its retries."""

    def __post_init__(self) -> None:
        """Refuse sizes of what no input has."""
        if wrong := unused(self.inputs.values(), self.sizes):
            msg = f"sizes: no input has a length '{wrong[0]}'"
            raise ValueError(msg)

    async def run(self, client: Client) -> None:
        """Send and record; see `harness.load.base.Load`."""
        plan = Plan(
            what=f"infer {self.model}{' streamed' if self.stream else ''}",
            url=client.urls[_asked(client, self.at)],
            requests=client.requests if self.requests == "auto" else self.requests,
            concurrency=self.concurrency if self.rate is None else max(self.concurrency, 64),
            rate=self.rate,
            seconds=self.seconds,
        )
        async with AsyncExitStack() as stack:
            habits = await self._habits(client, stack)
            idle: list[VirtualClient] = []

            async def send(number: int) -> RequestDone:
                one = idle.pop() if idle else VirtualClient(habits)
                try:
                    return await self._send(client, one, plan.url, number)
                finally:
                    idle.append(one)

            await drive(plan, client, send)

    async def _habits(self, client: Client, stack: AsyncExitStack) -> Habits:
        asked = _asked(client, self.at)
        service = client.facts.service(asked)
        habits = Habits(
            channel=await stack.enter_async_context(channels()),
            now=client.history.now,
            timeout=self.timeout,
            retries=self.retries,
            ask_always=self.discover == "always",
            stream=self.stream,
            headers=client.headers,
        )
        if service is not None and REGISTRY in service.speaks:
            pool = await stack.enter_async_context(session(client, 100, self.timeout))
            query = {key: text_of(value) for key, value in (self.capability or {"type": self.model}).items()}
            return replace(habits, registry=Registry(pool, client.urls[asked], query))
        if self.retries or self.capability:
            msg = f"{asked} is no registry of replicas, which 'retries' and 'capability' need"
            raise EnvironmentFailure(msg)
        return replace(habits, at=Place(endpoint_of(client.urls[asked])))

    async def _send(self, client: Client, one: VirtualClient, url: str, number: int) -> RequestDone:
        request_id = f"{client.id_prefix}-{client.load}-{number:06d}"
        inputs = made(self.inputs, self.sizes, self.seed, number)
        raw = self.contents == "raw"
        request = request_of(self.model, self.version, request_id, inputs, raw=raw)
        started = client.history.now()
        try:
            answered = await one.call(request, request_id)
        except asyncio.CancelledError:
            # Only the load's own end cancels a call: it is recorded, and the sender sees the end itself.
            return self._done(client, request_id, url, started, Answered(None, "CANCELLED", CUT_OFF))
        done = self._done(client, request_id, url, started, answered)
        client.history.append(
            Inferred(
                load=client.load,
                id=request_id,
                code=answered.code,
                number=number,
                seed=self.seed,
                inputs=self.inputs,
                sizes=self.sizes,
                answers=tuple({n: keep(t) for n, t in one.items()} for one in answered.answers),
                tries=tuple(answered.tries),
                error=answered.error,
            )
        )
        return done

    def _done(
        self, client: Client, request_id: str, url: str, started: float, answered: Answered
    ) -> RequestDone:
        code, error, place = answered.code, answered.error, answered.place
        outcome = "ok" if code == "OK" and not error else "error"
        if code == LATE or error == CUT_OFF:
            outcome = "unknown"
        return RequestDone(
            load=client.load,
            id=request_id,
            method="ModelStreamInfer" if self.stream else "ModelInfer",
            url=f"grpc://{place.endpoint}" if place else url,
            model=self.model,
            stream=self.stream,
            chunks=len(answered.answers) if self.stream else 0,
            first_byte=answered.first,
            complete=outcome == "ok",
            outcome=outcome,
            started=started,
            ended=client.history.now(),
            claims={"replica_id": place.replica} if place and place.replica else {},
            served_by=_served_by(client, place),
            error=error,
        )


def _asked(client: Client, at: str) -> str:
    speaking = client.facts.speaking(REGISTRY)
    return at or (speaking[0].name if speaking else "")


def _served_by(client: Client, place: Place | None) -> str:
    """Who listens where the call went, as a registered name; else who the registry said that it is."""
    if place is None:
        return ""
    there = next((s for s in client.facts.services if endpoint_of(s.url) == place.endpoint), None)
    if there is None:
        return place.replica
    return place.replica if place.replica in there.registers else next(iter(there.registers), there.name)
