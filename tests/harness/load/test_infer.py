"""Load `infer` against workers and a registry that answer as they are told."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from harness.clock import SystemClock
from harness.errors import EnvironmentFailure, ScenarioError
from harness.events import CUT_OFF, Inferred, RequestDone
from harness.evidence import Facts, ServiceFacts
from harness.history import History, of
from harness.load.base import Client
from harness.load.infer import Infer
from harness.protocols.inference_pb2 import InferTensor, ModelInferRequest, ModelInferResponse
from harness.scenario import load_scenario
from harness.tensors import from_raw, kept
from tests.harness.protocols.inference_worker import Handler, mirrored, refusing, response, serving

INPUTS = {"a": "INT32[n, 2]", "t": "BYTES"}
UNAVAILABLE = refusing(grpc.StatusCode.UNAVAILABLE, "leaving")


@dataclass
class World:
    """Workers `w1`, `w2`, ... and a registry that names the first unless `names` says otherwise."""

    workers: Sequence[Handler]
    names: Sequence[int] = ()
    lists: bool = True
    strangers: bool = False
    asked: list[str] = field(default_factory=list)
    endpoints: list[str] = field(default_factory=list)

    def entry(self, number: int) -> dict[str, Any]:
        return {
            "replica_id": f"w{number + 1}",
            "endpoint": self.endpoints[number],
            "capabilities": [{"type": "m"}],
        }

    async def route(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query_string)
        if "nobody" in request.query_string:
            return web.json_response({"detail": "no matching replica"}, status=404)
        number = self.names[len(self.asked) % len(self.names)] if self.names else 0
        return web.json_response(self.entry(number))

    async def replicas(self, _: web.Request) -> web.StreamResponse:
        listed = [self.entry(number) for number in range(len(self.endpoints))]
        return web.json_response({"replicas": listed}) if self.lists else web.Response(status=500)


def send(load: Infer, world: World, within: float = 20.0) -> tuple[list[RequestDone], list[Inferred]]:
    """Run a load in a world; returns what it recorded."""

    async def main() -> History:
        history = History(SystemClock())
        async with AsyncExitStack() as stack:
            world.endpoints = [await stack.enter_async_context(serving(one)) for one in world.workers]
            app = web.Application()
            app.router.add_get("/route", world.route)
            app.router.add_get("/replicas", world.replicas)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.77.12.1", 0).start()
            urls = {f"w{number + 1}": f"grpc://{at}" for number, at in enumerate(world.endpoints)}
            urls["registry"] = f"http://127.77.12.1:{runner.addresses[0][1]}"
            workers = [
                ServiceFacts(name=name, url=url)
                for name, url in urls.items()
                if name != "registry" and not world.strangers
            ]
            registry = ServiceFacts(name="registry", url=urls["registry"], speaks=("capability_registry",))
            client = Client(
                load="l",
                history=history,
                facts=Facts(services=(registry, *workers)),
                urls=urls,
                headers={"Authorization": "Bearer x"},
                drain=0.1,
            )
            task = asyncio.create_task(load.run(client))
            done, _ = await asyncio.wait([task], timeout=within)
            if not done:
                task.cancel()
            await asyncio.gather(task, return_exceptions=not done)
        return history

    records = asyncio.run(main()).records
    return [e for _, e in of(records, RequestDone)], [e for _, e in of(records, Inferred)]


@pytest.mark.parametrize("contents", ["raw", "typed"])
def test_a_call_is_recorded_with_what_it_answered(contents: Any) -> None:
    """Outputs in a form that can be compared, inputs as what they follow from."""
    handler = Handler(mirrored)
    (done,), (call,) = send(
        Infer("m", at="w1", inputs=INPUTS, contents=contents, requests=1, seed=5), World([handler])
    )
    assert (done.outcome, done.served_by, done.model, done.method) == ("ok", "w1", "m", "ModelInfer")
    assert (call.code, call.id, call.number, call.seed, call.inputs) == ("OK", done.id, 0, 5, INPUTS)
    (asked,) = handler.asked
    assert asked.id == done.id
    assert bool(asked.raw_input_contents) == (contents == "raw")
    answered = kept(call.answers[0]["a"])
    assert answered.datatype == "INT32"
    if contents == "raw":
        sent = from_raw("INT32", answered.shape, asked.raw_input_contents[0])
        assert answered.array.tolist() == sent.array.reshape(-1).tolist()


def test_calls_carry_what_the_run_was_told_to_show() -> None:
    """Authorization goes along as metadata."""
    handler = Handler(mirrored)
    send(Infer("m", at="w1", requests=1), World([handler]))
    assert handler.metadata[0]["authorization"] == "Bearer x"


def test_a_record_can_be_stored() -> None:
    """It is JSON."""
    _, (call,) = send(Infer("m", at="w1", inputs=INPUTS, requests=1), World([Handler(mirrored)]))
    assert json.loads(json.dumps(call.answers)) == list(call.answers)


def test_the_registry_is_asked_once_by_each_client() -> None:
    """For the model's type, unless a capability says what for; who is kept is who was named."""
    world = World([Handler(mirrored), Handler(mirrored)], names=[0, 1])
    done, _ = send(Infer("m", at="registry", requests=9, concurrency=1), world)
    assert world.asked == ["type=m"]
    assert {one.served_by for one in done} == {"w2"}
    assert done[0].claims == {"replica_id": "w2"}


def test_the_registry_is_asked_before_every_call_on_request() -> None:
    """`discover: always`; with the conditions of `capability`."""
    world = World([Handler(mirrored), Handler(mirrored)], names=[0, 1])
    load = Infer("m", requests=4, discover="always", capability={"type": "m", "gpus": 2, "fast": True})
    done, _ = send(load, world)
    assert world.asked == ["type=m&gpus=2&fast=true"] * 4
    assert [one.served_by for one in done] == ["w2", "w1", "w2", "w1"]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND])
def test_a_client_that_may_retry_goes_to_somebody_else(code: grpc.StatusCode) -> None:
    """One call, answered by the second; the first is told of, and not called again."""
    first, second = Handler(refusing(code, "gone")), Handler(mirrored)
    done, calls = send(Infer("m", at="registry", requests=5, retries=1), World([first, second]))
    assert [(one.outcome, one.served_by) for one in done] == [("ok", "w2")] * 5
    assert [len(call.tries) for call in calls] == [1, 0, 0, 0, 0]
    assert code.name in calls[0].tries[0]
    assert calls[0].tries[0].startswith("w1 at ")


def test_within_a_call_nobody_is_tried_twice() -> None:
    """When all have failed the call has, with all of them in its error."""
    (done,), (call,) = send(
        Infer("m", at="registry", requests=1, retries=5), World([Handler(UNAVAILABLE), Handler(UNAVAILABLE)])
    )
    assert (done.outcome, call.code, len(call.tries)) == ("error", "NO_REPLICA", 2)
    assert all(word in done.error for word in ("w1 at", "w2 at", "lists nobody else"))


def test_a_client_that_may_not_retry_fails_and_asks_anew() -> None:
    """The endpoint that failed is forgotten, the call is lost."""
    world = World([Handler(UNAVAILABLE), Handler(mirrored)], names=[1, 0])
    done, _ = send(Infer("m", at="registry", requests=2), world)
    assert [(one.outcome, one.served_by) for one in done] == [("error", "w1"), ("ok", "w2")]


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_what_is_the_callers_or_the_handlers_fault_is_not_repeated(code: grpc.StatusCode) -> None:
    """Another replica would say the same."""
    first, second = Handler(refusing(code, "your fault")), Handler(mirrored)
    (done,), (call,) = send(Infer("m", at="registry", requests=1, retries=3), World([first, second]))
    assert (done.outcome, call.code, call.tries, second.asked) == ("error", code.name, (), [])
    assert done.error.endswith(f"answered {code.name}: your fault")


def test_no_answer_in_time_is_unknown() -> None:
    """Nobody knows what the worker did; the client looks for another."""

    async def never(request: ModelInferRequest, rpc: Any) -> ModelInferResponse:
        await asyncio.sleep(60)
        return response(request)

    world = World([Handler(never), Handler(mirrored)], names=[1, 0])
    done, calls = send(Infer("m", at="registry", requests=2, timeout=0.3, retries=2), world)
    assert [one.outcome for one in done] == ["unknown", "ok"]
    assert [call.code for call in calls] == ["DEADLINE_EXCEEDED", "OK"]


def test_that_nobody_can_do_it_is_recorded() -> None:
    """With the registry's own words, and no status of gRPC."""
    (done,), (call,) = send(
        Infer("m", at="registry", requests=1, capability={"type": "nobody"}), World([Handler(mirrored)])
    )
    assert (done.outcome, done.served_by, call.code) == ("error", "", "NO_REPLICA")
    assert "no matching replica" in call.error


def test_a_registry_that_cannot_list_ends_the_retries() -> None:
    """The call fails, and says so."""
    world = World([Handler(UNAVAILABLE), Handler(mirrored)], lists=False)
    (done,), _ = send(Infer("m", at="registry", requests=1, retries=1), world)
    assert done.outcome == "error"
    assert "500" in done.error


def test_an_ok_that_is_no_answer_is_an_error() -> None:
    """The status is kept, and what is wrong with it."""

    async def rubbish(request: ModelInferRequest, rpc: Any) -> bytes:
        return b"\xff\xff"

    (done,), (call,) = send(Infer("m", at="w1", requests=1), World([Handler(rubbish)]))
    assert (done.outcome, call.code, call.answers) == ("error", "OK", ())
    assert "no ModelInferResponse" in call.error


def test_a_stream_is_recorded_answer_by_answer() -> None:
    """All of them, with the time of the first."""
    answers = [
        ModelInferResponse(
            outputs=[InferTensor(name="y", datatype="INT8", shape=[1])], raw_output_contents=[bytes([n])]
        )
        for n in range(3)
    ]
    (done,), (call,) = send(
        Infer("m", at="w1", requests=1, stream=True), World([Handler(mirrored, streamed=answers)])
    )
    assert (done.outcome, done.chunks, done.stream, done.complete) == ("ok", 3, True, True)
    assert [kept(answer["y"]).array.tolist() for answer in call.answers] == [[0], [1], [2]]
    assert done.first_byte is not None


def test_an_error_within_a_stream_is_an_error() -> None:
    """What came before is kept."""
    handler = Handler(mirrored, streamed=[ModelInferResponse(), "it broke"])
    (done,), (call,) = send(Infer("m", at="w1", requests=1, stream=True), World([handler]))
    assert (done.outcome, done.complete, call.code, len(call.answers)) == ("error", False, "INTERNAL", 1)
    assert "it broke" in done.error


def test_a_call_under_way_when_its_load_ends_is_cut_off() -> None:
    """It is recorded as such, and counts neither way."""

    async def slow(request: ModelInferRequest, rpc: Any) -> ModelInferResponse:
        await asyncio.sleep(60)
        return response(request)

    done, calls = send(Infer("m", at="w1", concurrency=2), World([Handler(slow)]), within=0.5)
    assert [(one.outcome, one.error) for one in done] == [("unknown", CUT_OFF)] * 2
    assert calls == []


def test_retries_need_a_registry() -> None:
    """A worker that is called directly has no other; that is said, not ignored."""
    with pytest.raises(EnvironmentFailure, match="w1 is no registry of replicas"):
        send(Infer("m", at="w1", requests=1, retries=1), World([Handler(mirrored)]))


def test_sizes_belong_to_a_letter() -> None:
    """A length that no input has is a mistake."""
    with pytest.raises(ValueError, match="no input has a length 'k'"):
        Infer("m", inputs={"a": "INT32[n]"}, sizes={"k": "1..2"})


def test_who_is_not_in_the_topology_is_who_the_registry_says() -> None:
    """Of attached servers only the registry may be known."""
    world = World([Handler(mirrored)], strangers=True)
    (done,), _ = send(Infer("m", at="registry", requests=1), world)
    assert (done.outcome, done.served_by) == ("ok", "w1")


MISTAKEN = """\
version: 1
scenario: s
topology: {hosts: {h: {registry: {command: [x], speaks: [capability_registry]}}}}
steps:
  - {name: a, load: {infer: m, inputs: {a: int32}}}
  - {name: b, load: {infer: m, inputs: {a: INT32}, sizes: {nn: 1..3}}}
  - {name: c, load: {infer: m, inputs: {a: INT32}, sizes: {k: 1..3}}}
  - {name: d, load: {infer: m, inputs: {a: INT32}}, expect: {infer_result: {y: sqr(a)}}}
  - {name: e, load: {infer: m, inputs: {alpha: INT32}}, expect: {infer_result: {y: alpa + 1}}}
"""


def test_a_mistaken_scenario_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Datatypes, lengths, functions and names of inputs, each at its line; what can only be seen of a whole, too."""
    file = tmp_path / "a.scenario.yaml"
    file.write_text(MISTAKEN, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    told = {problem.place.line: problem.message for problem in caught.value.problems}
    assert told[5].startswith("inputs.a: there is no datatype 'int32'; there are BOOL, ")
    assert told[6] == "sizes.nn: 'nn' is no length that varies; those are small letters, such as n"
    assert told[7] == "load 'infer': sizes: no input has a length 'k'"
    assert told[8] == "infer_result.y: 'sqr(a)': there is no function sqr. Did you mean 'sqrt'?"
    assert told[9] == "y: the load has no input 'alpa'. Did you mean 'alpha'?"
