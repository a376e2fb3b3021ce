"""Staying up: breakers, retries and their budget, hedging, the queue, drain; with scripted backends."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from system.router.budget import RetryBudget
from system.router.waiting import WaitingRoom
from tests.system.router.stage import (
    STREAM_HEAD,
    Answer,
    Call,
    Client,
    FakeBackend,
    Stage,
    chunk,
    play,
    request,
    router,
    until,
    whole,
)

CHAT = b'{"model":"m","messages":[]}'


async def fails(_: FakeBackend, call: Call) -> None:
    await call.send(whole(b'{"error":{}}', "500 Internal Server Error"))


async def mistaken(_: FakeBackend, call: Call) -> None:
    await call.send(whole(b'{"error":{}}', "400 Bad Request"))


async def busy(_: FakeBackend, call: Call) -> None:
    await call.send(whole(b'{"error":{}}', "429 Too Many Requests", b"retry-after: 30\r\n"))


async def unavailable(_: FakeBackend, call: Call) -> None:
    await call.send(whole(b'{"error":{}}', "503 Service Unavailable"))


async def hangs(_: FakeBackend, call: Call) -> None:
    assert await call.reader.read(1) == b""
    raise ConnectionResetError


def served(answers: list[Answer]) -> Counter[str]:
    return Counter(answer.headers.get("x-muster-backend", "-") for answer in answers)


def test_backend_that_keeps_failing_is_left(tmp_path: Path) -> None:
    """Its breaker opens at half of ten requests, and says so; the other gets everything from then on."""

    async def scene() -> None:
        bad, good = FakeBackend("bad", fails), FakeBackend("good")
        async with router(tmp_path, bad, good, policy="round-robin") as stage:
            answers = [await stage.chat() for _ in range(40)]
            assert served(answers[20:]) == {"good": 20}
            assert len(bad.calls) == 10
            assert (await stage.services())["bad"]["breaker"] == "open"
            metrics = (await stage.ask("GET", "/metrics")).body.decode()
            assert 'muster_router_breaker_state{backend="bad",state="open"} 1' in metrics
            assert 'muster_router_breaker_transitions_total{backend="bad",state="open"} 1' in metrics

    play(scene())


def test_backend_that_recovers_is_used_again(tmp_path: Path) -> None:
    """After its pause one request at a time tries it; two good ones bring it back whole."""

    async def scene() -> None:
        flaky, good = FakeBackend("flaky", fails), FakeBackend("good")
        async with router(tmp_path, flaky, good, policy="round-robin", breaker_open=0.3) as stage:
            for _ in range(30):
                await stage.chat()
            assert (await stage.services())["flaky"]["breaker"] == "open"
            flaky.script = FakeBackend("x").script
            async with asyncio.timeout(5):
                while (await stage.services())["flaky"]["breaker"] != "closed":
                    await stage.chat()
            assert served([await stage.chat() for _ in range(10)]) == {"flaky": 5, "good": 5}

    play(scene())


def test_mistakes_of_clients_open_no_breaker(tmp_path: Path) -> None:
    """4xx is a backend doing its work."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a", mistaken), FakeBackend("b", mistaken)) as stage:
            assert {(await stage.chat()).status for _ in range(30)} == {400}
            assert {one["breaker"] for one in (await stage.services()).values()} == {"closed"}

    play(scene())


def test_backend_that_asks_for_rest_gets_it(tmp_path: Path) -> None:
    """429 with Retry-After: passed on as it is, no breaker, and the others are preferred meanwhile."""

    async def scene() -> None:
        tired, fresh = FakeBackend("tired", busy), FakeBackend("fresh")
        async with router(tmp_path, tired, fresh, policy="round-robin") as stage:
            answers = [await stage.chat() for _ in range(10)]
            assert sorted(Counter(answer.status for answer in answers).items()) == [(200, 9), (429, 1)]
            assert len(tired.calls) == 1
            assert (await stage.services())["tired"]["breaker"] == "closed"

    play(scene())


def test_not_more_than_a_share_is_left_when_all_fail(tmp_path: Path) -> None:
    """When every backend fails, half of them stay in use: failing together is not their own fault."""

    async def scene() -> None:
        backends = [FakeBackend(name, fails) for name in "abcd"]
        async with router(tmp_path, *backends, policy="round-robin") as stage:
            for _ in range(60):
                await stage.chat()
            before = [len(backend.calls) for backend in backends]
            for _ in range(8):
                assert (await stage.chat()).status == 500
            after = [len(backend.calls) for backend in backends]
            assert sum(1 for was, now in zip(before, after, strict=True) if now > was) == 2
            assert 'muster_router_panic{model="m"} 1' in (await stage.ask("GET", "/metrics")).body.decode()

    play(scene())


def test_unavailable_is_retried_elsewhere(tmp_path: Path) -> None:
    """502, 503 and 504 before anything was sent: another backend is asked; the last one's answer is passed on."""

    async def scene() -> None:
        backends = [FakeBackend("a", unavailable), FakeBackend("b")]
        async with router(tmp_path, *backends, policy="round-robin") as stage:
            assert {(await stage.chat()).status for _ in range(4)} == {200}
            backends[1].script = unavailable
            answer = await stage.chat()
            assert (answer.status, answer.body) == (503, b'{"error":{}}')

    play(scene())


def test_retries_are_paid_from_a_budget(tmp_path: Path) -> None:
    """When everything is unavailable, a thousand requests do not become two thousand."""

    async def scene() -> None:
        backends = [FakeBackend("a", unavailable), FakeBackend("b", unavailable)]
        async with router(tmp_path, *backends) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT) * 500)
            for _ in range(500):
                assert (await client.answer()).status == 503
            assert sum(len(backend.calls) for backend in backends) < 500 * 1.2 + 50

    play(scene())


def test_budget_is_a_share_of_the_requests() -> None:
    """Twenty percent, and a few when it is quiet; never more than the limit at once."""
    budget = RetryBudget(share=0.2, per_second=5.0, most=200.0)
    assert sum(budget.take(0, 0.0) for _ in range(100)) == 10
    assert sum(budget.take(100, 0.0) for _ in range(100)) == 20
    assert sum(budget.take(100, 2.0) for _ in range(100)) == 10
    assert sum(budget.take(100_000, 2.0) for _ in range(1000)) == 200


def test_crash_under_load_fails_no_request(tmp_path: Path) -> None:
    """One of two backends is killed while both answer hundreds of requests: all of them are answered."""

    async def works(backend: FakeBackend, call: Call) -> None:
        await asyncio.sleep(0.005)
        await call.send(whole(json.dumps({"served_by": backend.name}).encode()))

    async def scene() -> None:
        backends = [FakeBackend("a", works), FakeBackend("b", works)]
        async with router(tmp_path, *backends) as stage:

            async def load(client: Client) -> list[int]:
                statuses = []
                for _ in range(40):
                    await client.send(request("POST", "/v1/chat/completions", CHAT))
                    statuses.append((await client.answer()).status)
                return statuses

            clients = [await stage.connect() for _ in range(16)]
            running = asyncio.gather(*(load(client) for client in clients))
            await until(lambda: len(backends[0].calls) > 100)
            await backends[0].stop()
            assert Counter(status for statuses in await running for status in statuses) == {200: 640}

    play(scene())


def test_slow_answer_is_hedged(tmp_path: Path) -> None:
    """No first byte in time: another backend is asked, its answer is the answer, the slow one is cancelled."""

    async def scene() -> None:
        slow, fast = FakeBackend("slow", hangs), FakeBackend("fast")
        async with router(tmp_path, slow, fast, policy="round-robin", hedge_after=0.02) as stage:
            assert served([await stage.chat() for _ in range(6)]) == {"fast": 6}
            await until(lambda: slow.left >= len(slow.calls))
            assert all(one["outstanding"] == 0 for one in (await stage.services()).values())

    play(scene())


def test_first_answer_wins_over_the_hedge(tmp_path: Path) -> None:
    """A first attempt that answers after all is passed on, and the hedge cancelled."""

    async def late(backend: FakeBackend, call: Call) -> None:
        await asyncio.sleep(0.1)
        await call.send(STREAM_HEAD + chunk(f"data: {backend.name}\n\n".encode()) + b"0\r\n\r\n")

    async def scene() -> None:
        first, hedge = FakeBackend("first", late), FakeBackend("hedge", hangs)
        async with router(tmp_path, first, hedge, policy="weighted", hedge_after=0.02) as stage:
            answers = [await stage.chat() for _ in range(4)]
            assert {answer.body for answer in answers} == {b"data: first\n\n"}
            await until(lambda: hedge.left >= len(hedge.calls) > 0)
            assert all(one["outstanding"] == 0 for one in (await stage.services()).values())

    play(scene())


def test_full_backends_make_requests_wait_in_order(tmp_path: Path) -> None:
    """With room for one, the second waits, the third is 429 with Retry-After; the second follows the first."""
    go_on = asyncio.Event()

    async def gated(backend: FakeBackend, call: Call) -> None:
        await go_on.wait()
        await call.send(whole(call.header("x-request-id").encode()))  # type: ignore[union-attr]

    async def scene() -> None:
        backend = FakeBackend("a", gated)
        async with router(tmp_path, backend, max_outstanding=1, queue=1) as stage:
            first = asyncio.ensure_future(stage.chat(x_request_id="1"))
            await until(lambda: backend.calls)
            second = asyncio.ensure_future(stage.chat(x_request_id="2"))

            async def waiting() -> bool:
                page = (await stage.ask("GET", "/metrics")).body.decode()
                return 'muster_router_waiting{model="m"} 1' in page

            while not await waiting():
                pass
            third = await stage.chat(x_request_id="3")
            assert (third.status, third.json["error"]["code"]) == (429, "queue_full")
            assert third.headers["retry-after"] == "1"
            go_on.set()
            assert [(await first).body, (await second).body] == [b"1", b"2"]

    play(scene())


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """Whoever waits for too long is told so; whoever leaves makes room."""

    async def scene() -> None:
        backend = FakeBackend("a", hangs)
        async with router(tmp_path, backend, max_outstanding=1, queue=1, queue_wait=0.3) as stage:
            holder = await stage.connect()
            await holder.send(request("POST", "/v1/chat/completions", CHAT))
            await until(lambda: backend.calls)
            leaver = await stage.connect()
            await leaver.send(request("POST", "/v1/chat/completions", CHAT))
            leaver.close()
            answer = await stage.chat()
            assert (answer.status, answer.json["error"]["code"]) in (
                (429, "queue_timeout"),
                (429, "queue_full"),
            )
            answer = await stage.chat()
            assert (answer.status, answer.json["error"]["code"]) == (429, "queue_timeout")

    play(scene())


def test_waiting_room_is_first_come_first_served() -> None:
    """In order, bounded, and leaving early is possible."""
    room: WaitingRoom[str] = WaitingRoom()
    assert [room.join(one, 3) for one in "abcd"] == [True, True, True, False]
    room.leave("b")
    assert [room.next() for _ in range(3)] == ["a", "c", None]


def test_drain_lets_requests_finish(tmp_path: Path) -> None:
    """Leaving the router's context ends no answer; the connection closes after it."""
    go_on = asyncio.Event()

    async def gated(_: FakeBackend, call: Call) -> None:
        await go_on.wait()
        await call.send(whole(b"late"))

    async def scene() -> None:
        backend = FakeBackend("a", gated)
        async with router(tmp_path, backend, drain=5.0) as stage:
            client = await stage.connect()
            await client.send(request("POST", "/v1/chat/completions", CHAT))
            await until(lambda: backend.calls)
            stage.clients.clear()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"late", "close")
        assert await client.closed()
        client.close()

    play(scene())


def test_tokens_are_counted_where_answers_tell_of_them(tmp_path: Path) -> None:
    """The usage of a plain answer, and of a stream's last event before its end."""

    async def plain(_: FakeBackend, call: Call) -> None:
        await call.send(
            whole(b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens": 5,"total_tokens":14}}')
        )

    async def streamed(_: FakeBackend, call: Call) -> None:
        usage = chunk(b'data: {"usage":{"completion_tokens":7}}\n\n')
        await call.send(
            STREAM_HEAD + chunk(b"data: {}\n\n") + usage + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        )

    async def scene() -> None:
        async with router(
            tmp_path, FakeBackend("a", plain), FakeBackend("b", streamed, models=("n",))
        ) as stage:
            for model in "mmn":
                await stage.chat(model)
            page = (await stage.ask("GET", "/metrics")).body.decode()
            assert 'completion_tokens_total{model="m",backend="a"} 10\n' in page
            assert 'completion_tokens_total{model="n",backend="b"} 7\n' in page

    play(scene())


def test_access_log_has_a_line_for_one_of_so_many(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Sampled where that is asked for; each line names request, backend, status and outcome."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), access_log=True, access_log_every=3) as stage:
            for number in range(7):
                await stage.chat(x_request_id=f"id-{number}")

    with caplog.at_level("INFO", "router.access"):
        play(scene())
    lines = [record.getMessage() for record in caplog.records if record.name == "router.access"]
    assert [f"id-{number}" in line for number, line in zip((0, 3, 6), lines, strict=True)] == [True] * 3
    assert all("-> a (200, ok)" in line for line in lines)


def test_room_that_appears_is_used_at_once(tmp_path: Path) -> None:
    """Forty requests through a backend that takes one at a time need no more than their own time."""

    async def scene() -> None:
        async with router(tmp_path, FakeBackend("a"), max_outstanding=1) as stage, asyncio.timeout(4):
            answers = await asyncio.gather(*(stage.chat() for _ in range(40)))
            assert {answer.status for answer in answers} == {200}

    play(scene())


def test_clients_are_accepted_while_ready_already_says_no(tmp_path: Path) -> None:
    """With a delay whoever sends clients here can notice before connections are refused."""

    async def scene() -> None:
        leaving = asyncio.Event()

        async def run() -> None:
            async with router(tmp_path, FakeBackend("a"), drain=2.0, drain_delay=0.5) as stage:
                stages.append(stage)
                await leaving.wait()
                stage.clients.clear()

        stages: list[Stage] = []
        running = asyncio.create_task(run())
        await until(lambda: stages)
        leaving.set()

        async def says_no() -> bool:
            return (await stages[0].ask("GET", "/ready")).status == 503

        await until(says_no)
        answer = await stages[0].chat()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await running
        with pytest.raises(ConnectionRefusedError):
            await stages[0].connect()

    play(scene())
