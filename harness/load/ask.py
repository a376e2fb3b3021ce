"""Load `ask`: questions to a fleet of nodes behind a balancer, with what became of each node's part."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import aiohttp
from pydantic import Field

from harness.events import Combined
from harness.load.answers import CONTENT_KEPT, Asked, exchange, session
from harness.load.chat import sse_data
from harness.load.traffic import Plan, drive
from harness.options import ServiceName
from harness.quantities import Duration, Rate

if TYPE_CHECKING:
    from harness.events import RequestDone
    from harness.load.base import Client

PATH = "/query"
PROTOCOL = "balancer"


@dataclass(frozen=True, slots=True)
class Ask:
    """Questions to all nodes of a balancer, each question with a number of its own behind it.

    ```yaml
    load: {ask: "What is the capital of France?", at: router, requests: 3}
    load: {ask: Hello, at: router, plan: quorum, count: 2, aggregation: majority, rate: 2/s}
    ```

    Answers are read as a stream of events, so that check `answer` knows what each node said, and when.
    """

    prompt: str
    """What is asked."""
    _: KW_ONLY
    at: ServiceName = ""
    """The balancer that is asked; empty: the only service that speaks `balancer`."""
    plan: Literal["all", "first", "quorum", "best"] = "all"
    """How many nodes are asked, and how many answers are enough."""
    count: Annotated[int, Field(ge=0, le=1000)] = 0
    """Of quorum and best."""
    aggregation: Literal["synthesize", "majority", "concat", "best"] = "concat"
    """How answers become one."""
    deadline: Duration = 10.0
    """How long the balancer may take for everything."""
    requests: Annotated[int, Field(gt=0, le=1_000_000)] | Literal["auto"] | None = None
    """How many; `auto` lets the check beside it say how many it needs."""
    concurrency: Annotated[int, Field(gt=0, le=1000)] = 1
    """Questions in flight at most."""
    rate: Rate | None = None
    """Questions a second, sent on schedule whether or not earlier ones have ended."""
    seconds: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    timeout: Duration = 20.0
    """How long the whole answer may take to arrive."""

    def __post_init__(self) -> None:
        """Refuse a plan that has no number to go by."""
        if self.plan in ("quorum", "best") and not self.count:
            msg = f"count: plan {self.plan} needs one, 1 or more"
            raise ValueError(msg)

    async def run(self, client: Client) -> None:
        """Send and record; see `harness.load.base.Load`."""
        plan = Plan(
            what=f"ask {self.plan}{f' {self.count}' if self.count else ''}, {self.aggregation}",
            url=client.urls[_asked(client, self.at)] + PATH,
            requests=client.requests if self.requests == "auto" else self.requests,
            concurrency=self.concurrency if self.rate is None else max(self.concurrency, 64),
            rate=self.rate,
            seconds=self.seconds,
        )
        async with session(client, plan.concurrency, self.timeout) as pool:

            async def send(number: int) -> RequestDone:
                reading = Reading()
                asked = self._question(plan.url, f"{client.id_prefix}-{client.load}-{number:06d}", number)
                done = await exchange(pool, client, asked, reading.read)
                client.history.append(self._combined(client.load, asked, reading))
                return done

            await drive(plan, client, send)

    def _question(self, url: str, request_id: str, number: int) -> Asked:
        body = {
            "prompt": f"{self.prompt} (question {number})",
            "plan": self.plan,
            "count": self.count,
            "aggregation": self.aggregation,
            "deadline": self.deadline,
            "stream": True,
        }
        return Asked(id=request_id, method="POST", url=url, stream=True, json=body)

    def _combined(self, load: str, asked: Asked, reading: Reading) -> Combined:
        metadata = reading.result.get("metadata") or {}
        return Combined(
            load=load,
            id=asked.id,
            prompt=asked.json["prompt"],
            plan=self.plan,
            count=self.count,
            answered=bool(reading.result.get("success")),
            text=str(reading.result.get("text", "")),
            method=str(metadata.get("summary_method", "")),
            seconds=float(metadata.get("processing_time", 0.0)),
            partial=bool(metadata.get("partial")),
            nodes=tuple(
                {**node, "text": reading.texts.get(node["client_id"], "")}
                for node in metadata.get("nodes", [])
            ),
        )


class Reading:
    """What has come of one answer: each node's text, and the result."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.result: dict[str, Any] = {}

    async def read(self, answer: aiohttp.ClientResponse, done: RequestDone) -> RequestDone:
        """Take in the events; ok is a result that is a success."""
        if not answer.ok or answer.content_type != "text/event-stream":
            text = (await answer.read())[:CONTENT_KEPT].decode("utf-8", "replace")
            return replace(done, outcome="error", error=f"{answer.status}: {text}")
        chunks = 0
        try:
            async for data in sse_data(answer):
                chunks += 1
                self._take(json.loads(data))
        except (aiohttp.ClientError, ValueError) as error:
            return replace(done, outcome="error", chunks=chunks, error=f"the stream broke off: {error}")
        done = replace(done, chunks=chunks, complete=bool(self.result))
        if not self.result:
            return replace(done, outcome="error", error=f"{chunks} events came, and no result")
        if not self.result.get("success"):
            return replace(done, outcome="error", error=" ".join(str(self.result.get("error")).split()))
        return replace(done, outcome="ok", content=str(self.result.get("text", ""))[:CONTENT_KEPT])

    def _take(self, event: dict[str, Any]) -> None:
        if "success" in event:
            self.result = event
        elif "outcome" in event:
            self.texts[str(event["client_id"])] = str(event.get("text", ""))


def _asked(client: Client, at: str) -> str:
    speaking = client.facts.speaking(PROTOCOL)
    return at or (speaking[0].name if speaking else "")
