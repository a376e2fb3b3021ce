"""Several processes behind one port: they agree on backends and breakers, and answer for each other's counts."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from system.errors import UsageError
from system.router.counts import BOUNDS
from system.router.departed import Told
from system.router.program import RouterConfig, serve
from system.router.sums import Labels, Sums, add
from tests.system.router.stage import (
    ADDRESS,
    Call,
    FakeBackend,
    Stage,
    free_port,
    play,
    request,
    until,
    whole,
)

CHAT = b'{"model":"m","messages":[]}'


async def fails(_: FakeBackend, call: Call) -> None:
    await call.send(whole(b'{"error":{}}', "500 Internal Server Error"))


@asynccontextmanager
async def workers(tmp_path: Path, *backends: FakeBackend, count: int = 2) -> AsyncIterator[tuple[Stage, int]]:
    """The program with several workers; and its pid."""
    for backend in backends:
        await backend.start()
    static, port = tmp_path / "static.json", free_port()
    static.write_text(json.dumps([backend.entry for backend in backends]))
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "system", "router", "--host", ADDRESS, "--port", str(port), "--drain", "1"),
        *("--static-services", str(static), "--workers", str(count), "--policy", "round-robin"),
        *("--log-level", "error", "--probe-interval", "30", "--breaker-open", "60"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    assert await program.stdout.readline()
    stage = Stage(port, f"http://{ADDRESS}:{port}")
    try:
        yield stage, program.pid
    finally:
        for client in stage.clients:
            client.close()
        program.terminate()
        try:
            async with asyncio.timeout(8):
                assert await program.wait() == 0
        finally:
            left = children(program.pid)
            if program.returncode is None:
                program.kill()
        assert not left
        for backend in backends:
            await backend.stop()


def listening(port: int) -> int:
    """How many sockets listen on a port."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:])
    return sum(row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_what_one_process_finds_out_the_others_know(tmp_path: Path) -> None:
    """A breaker that one process opened is open in all; whom one found dead or frozen the others leave as well."""

    async def scene() -> None:
        bad, good, dead = FakeBackend("bad", fails), FakeBackend("good"), FakeBackend("dead", models=("d",))
        frozen = FakeBackend("frozen", models=("f",), silent=True)
        async with workers(tmp_path, bad, good, dead, frozen) as (stage, pid):
            client = await stage.connect()
            for _ in range(30):
                await client.send(request("POST", "/v1/chat/completions", CHAT))
                await client.answer()
            await dead.stop()
            await client.send(request("POST", "/v1/chat/completions", CHAT.replace(b'"m"', b'"d"')))
            assert (await client.answer()).status == 503
            await client.send(request("POST", "/v1/chat/completions", CHAT.replace(b'"m"', b'"f"')))

            async def all_agree() -> bool:
                views = [await stage.services() for _ in range(16)]
                open_everywhere = all(view["bad"]["breaker"] == "open" for view in views)
                left = [view[name]["healthy"] for view in views for name in ("dead", "frozen")]
                return open_everywhere and not any(left)

            await until(all_agree, 12)  # and none has probed by itself
            for original in children(pid):
                os.kill(original, signal.SIGKILL)
                await until(lambda: listening(stage.port) == 1)
                await until(lambda: listening(stage.port) == 2, 12)
            await until(all_agree, 12)  # nor those that joined late
            await dead.start()

    play(scene())


@pytest.mark.slow
def test_metrics_and_stats_tell_the_sum(tmp_path: Path) -> None:
    """Whichever process answers, the counts are those of all."""

    async def scene() -> None:
        async with workers(tmp_path, FakeBackend("a"), FakeBackend("b")) as (stage, _):
            for _ in range(40):
                assert (await stage.chat()).status == 200

            async def all_told() -> bool:
                pages = [(await stage.ask("GET", "/metrics")).body.decode() for _ in range(8)]
                stats = [(await stage.ask("GET", "/stats")).json["services"] for _ in range(8)]
                counted = all("muster_router_requests_total 40\n" in page for page in pages)
                return counted and all(sum(one["request_count"] for one in view) == 40 for view in stats)

            await until(all_told)

    play(scene())


def total(page: str, name: str) -> float:
    """The sum over all labels of a metric on a page."""
    rows = (row for row in page.splitlines() if row.startswith((f"{name} ", f"{name}{{")))
    return sum(float(row.rpartition(" ")[2]) for row in rows)


@pytest.mark.slow
def test_counters_never_go_backwards_when_a_process_dies(tmp_path: Path) -> None:
    """What a killed process had shown stays in the sums of the others, and of the one that replaces it."""
    names = (
        "muster_router_requests_total",
        "muster_router_backend_requests_total",
        "muster_router_attempts_total",
        "muster_router_duration_seconds_count",
    )

    async def scene() -> None:
        async with workers(tmp_path, FakeBackend("a"), FakeBackend("b")) as (stage, pid):
            shown = dict.fromkeys(names, 0.0)
            for original in children(pid):
                for _ in range(20):
                    assert (await stage.chat()).status == 200
                views = [(await stage.ask("GET", "/metrics")).body.decode() for _ in range(8)]
                shown = {name: max(shown[name], *(total(view, name) for view in views)) for name in names}
                assert shown["muster_router_requests_total"] > 0
                os.kill(original, signal.SIGKILL)
                await until(lambda: listening(stage.port) == 1)
                while listening(stage.port) == 1:
                    page = (await stage.ask("GET", "/metrics")).body.decode()
                    assert {name: total(page, name) >= shown[name] for name in names} == dict.fromkeys(
                        names, True
                    )
                for _ in range(16):
                    page = (await stage.ask("GET", "/metrics")).body.decode()
                    assert {name: total(page, name) >= shown[name] for name in names} == dict.fromkeys(
                        names, True
                    )
                    assert total(page, "muster_router_in_flight") == 0

    play(scene())


def told(number: int, **sums: float) -> bytes:
    """A line with the counts of a process, by backend."""
    values: dict[str, dict[Labels, float]] = {"way": {(): 1.0}}
    values["n_total"] = {(("backend", name),): count for name, count in sums.items()}
    return orjson.dumps({"from": number, "counts": Sums(values, {}).as_json()}) + b"\n"


def test_counters_of_the_departed_are_kept_and_their_gauges_are_not() -> None:
    """They add up over deaths; what nobody has any more is forgotten; who joins is told before it serves."""
    memory = Told()
    memory.hear(0, told(0, a=1.0))
    memory.hear(1, told(1, a=2.0, b=5.0))
    memory.hear(1, b'{"from":1,"down":"a"}\n')
    memory.left(1)
    memory.hear(1, told(1, a=3.0))
    memory.left(0)
    *others, welcome = memory.welcome(0).splitlines()
    assert others == [told(1, a=3.0).rstrip()]
    departed = Sums.from_json(orjson.loads(welcome)["departed"])
    assert departed.values == {"n_total": {(("backend", "a"),): 3.0}}


@pytest.mark.slow
def test_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """The others go on; soon there are as many as before."""

    async def scene() -> None:
        async with workers(tmp_path, FakeBackend("a")) as (stage, pid):
            before = children(pid)
            os.kill(before[0], signal.SIGKILL)
            await until(lambda: len(children(pid)) == 2 and before[0] not in children(pid))
            assert {(await stage.chat()).status for _ in range(8)} == {200}

    play(scene())


def test_number_of_workers_is_checked() -> None:
    """Zero processes serve nobody."""

    async def scene() -> None:
        with pytest.raises(UsageError, match="--workers"):
            async with serve(RouterConfig(host=ADDRESS, port=0, workers=0)):
                pass

    play(scene())


def test_sums_survive_the_way_between_processes() -> None:
    """Values by metric and labels, and histograms, add up after JSON and back."""
    labels = (("backend", "a"),)
    buckets = [1.0] * (len(BOUNDS) + 2)
    one = Sums({"n": {labels: 1, (): 2}}, {"h": {labels: buckets}})
    other = Sums.from_json(json.loads(json.dumps(one.as_json())))
    both = add([one, other])
    assert (both.get("n", labels), both.get("n", ()), both.get("n", (("x", "y"),))) == (2, 4, 0)
    assert both.histograms["h"][labels] == [2.0] * len(buckets)
