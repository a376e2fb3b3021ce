"""What every load promises, whichever it is, of servers that do not answer."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
from collections.abc import Mapping
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.clock import SystemClock
from harness.events import CUT_OFF, Event, LoadFinished, LoadStarted, RequestDone, event_to_json
from harness.evidence import Facts, ServiceFacts
from harness.history import History
from harness.kind_options import options_of
from harness.load import LOADS
from harness.load.base import Client
from harness.scenario import load_scenario

MAIN: Mapping[str, Any] = {
    "ask": "Why?",
    "chat": "model-1",
    "http": "/x",
    "infer": "multiply",
    "route": {"type": "chat"},
}
"""The main option of each load."""
ADDRESS = "127.77.13.1"
TOPOLOGY = """\
hosts:
  server1:
    registry: {command: [serve], url: "http://{host.address}:18000", speaks: [capability_registry]}
    router: {command: [serve], url: "http://{host.address}:8000", speaks: [openai], registers: {router: [model-1]}}
"""

each_load = pytest.mark.parametrize("name", list(LOADS))


def load(name: str, **options: Any) -> Any:
    return LOADS[name](MAIN[name], at="server", **options)  # type: ignore[call-arg]


def run(traffic: Any, port: int, *, cancel_after: float | None = None, cap: int | None = None) -> list[Event]:
    """Send a load to a port; returns what it recorded."""

    async def main() -> History:
        history = History(SystemClock())
        url = f"http://{ADDRESS}:{port}"
        server = ServiceFacts(name="server", url=url, speaks=("capability_registry",))
        client = Client(
            load="l",
            history=history,
            facts=Facts(services=(server,)),
            urls={"server": url},
            headers={},
            requests=7,
            cap=cap,
            drain=0.05,
        )
        task = asyncio.create_task(traffic.run(client))
        await asyncio.wait([task], timeout=20 if cancel_after is None else cancel_after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return history

    return [record.event for record in asyncio.run(main()).records]


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server((ADDRESS, 0)) as taken:
        return int(taken.getsockname()[1])


def requests_in(events: list[Event]) -> list[RequestDone]:
    return [event for event in events if isinstance(event, RequestDone)]


@each_load
def test_its_options_are_documented(name: str) -> None:
    """A load is frozen, every option says what it is, and all but the main one are named when given."""
    cls: Any = LOADS[name]
    assert cls.__dataclass_params__.frozen
    assert [option.key for option in options_of(cls) if not option.about] == []
    assert [f.name for f in dataclasses.fields(cls)[1:] if not f.kw_only] == []


@each_load
def test_its_examples_load(name: str, tmp_path: Path) -> None:
    """The YAML of a load's docstring is valid as it stands, and makes this load."""
    (block,) = re.findall(r"```yaml\n(.*?)```", getdoc(LOADS[name]) or "", re.DOTALL)
    examples = [yaml.safe_load(f"load:{text}") for text in block.split("load:") if text.strip()]
    steps = [{"name": f"example {number}", **example} for number, example in enumerate(examples)]
    (tmp_path / "topology.yaml").write_text(TOPOLOGY, encoding="utf-8")
    file = tmp_path / "example.scenario.yaml"
    file.write_text(
        yaml.safe_dump({"version": 1, "scenario": "s", "topology": "topology.yaml", "steps": steps}),
        encoding="utf-8",
    )
    (loaded,) = load_scenario(file)
    assert loaded.steps
    assert all(isinstance(step.action, LOADS[name]) for step in loaded.steps)


@each_load
def test_every_request_is_recorded_also_when_nobody_is_there(name: str) -> None:
    """As an error that says where, each with an id of its own, between a beginning and an end that counts them."""
    port = closed_port()
    events = run(load(name, requests=5, concurrency=2), port)
    requests = requests_in(events)
    assert [request.outcome for request in requests] == ["error"] * 5
    assert len({request.id for request in requests}) == 5
    assert all(str(port) in request.error and request.ended >= request.started for request in requests)
    assert isinstance(events[0], LoadStarted)
    assert isinstance(events[-1], LoadFinished)
    assert (events[-1].sent, events[-1].failed) == (5, 5)


@each_load
@pytest.mark.parametrize(("cap", "sent"), [(None, 7), (3, 3)])
def test_auto_is_what_the_check_needs_within_the_cap(name: str, cap: int | None, sent: int) -> None:
    """`requests: auto` is the client's number, and never more than may be sent."""
    events = run(load(name, requests="auto"), closed_port(), cap=cap)
    assert len(requests_in(events)) == sent


@each_load
def test_a_load_that_is_ended_leaves_nothing_open(name: str) -> None:
    """Who is still waiting for an answer is recorded as cut off, and the end comes soon."""
    with socket.create_server((ADDRESS, 0)) as silent:
        events = run(load(name, concurrency=3), int(silent.getsockname()[1]), cancel_after=0.3)
    requests = requests_in(events)
    assert [(request.outcome, request.error) for request in requests] == [("unknown", CUT_OFF)] * 3
    assert isinstance(events[-1], LoadFinished)
    assert events[-1].unknown == 3


@each_load
def test_what_it_records_can_be_stored(name: str) -> None:
    """Every field is a JSON value."""
    for event in run(load(name, requests=1), closed_port()):
        assert all(isinstance(value, JSON) for value in event_to_json(event).values())


JSON = (str, int, float, bool, list, tuple, dict, type(None))
