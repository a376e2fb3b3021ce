"""What only Redis does to processes that share: it goes, stalls, forgets, comes back, wants a password."""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from system.breaker import State
from system.errors import UsageError
from system.gateway.breakers import BreakerSettings, RedisSettings, Refused, SyncSettings, opened
from system.gateway.sync.redis import STATE, RedisLink
from system.gateway.sync.scripts import PUT
from system.gateway.transitions import SLACK, Author, Circuit, granted, supersedes
from tests.system.gateway.redis_server import ADDRESS, Server, needs_redis, redis_server
from tests.system.gateway.together import P, all_are, fail, probe, succeed, together, until

pytest.importorskip("redis", reason="the package redis is not installed")
pytestmark = [pytest.mark.slow, needs_redis]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with redis_server(tmp_path) as made:
        yield made


def through(server: Server) -> SyncSettings:
    return SyncSettings(redis=RedisSettings(url=server.url))


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(limited())


def answers_at_once(admitting: Coroutine[Any, Any, Any]) -> bool:
    """Whether a coroutine ends without waiting for anything."""
    try:
        admitting.send(None)
    except StopIteration:
        return True
    admitting.close()
    return False


def test_requests_never_wait_for_it(server: Server) -> None:
    """While Redis stalls, closed and open circuits answer from memory, and pages say that it is not there."""

    async def scenario() -> None:
        async with together(2, through(server)) as (one, other):
            server.pause()
            try:
                assert answers_at_once(one.admit(P))
                await fail(one, 5)
                assert answers_at_once(one.admit(P))
                await until(lambda: not one.link.redis_connected and not other.link.sync_enabled)
                assert answers_at_once(other.admit(P))
            finally:
                server.resume()
            await all_are("OPEN", one, other)
            await until(lambda: one.link.redis_connected and other.link.redis_connected)

    play(scenario())


def test_a_stalled_redis_grants_no_probe_and_soon_counts_as_gone(server: Server) -> None:
    """A claim that is not answered in time is no claim; when Redis is known to be gone, recovery goes on alone."""

    async def scenario() -> None:
        async with together(2, through(server), recovery=0.2) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            await until(lambda: one.view(P).due_at is None)
            server.pause()
            try:
                assert one.link.redis_connected
                assert isinstance(await one.admit(P), Refused)
                (await probe(one)).succeeded()
                assert not one.link.redis_connected
            finally:
                server.resume()
            await all_are("CLOSED", one, other)

    play(scenario())


def test_what_happened_without_it_is_made_good(server: Server) -> None:
    """Killed and back, empty: sync resumes by itself, and the latest of what anybody knows holds."""

    async def scenario() -> None:
        async with together(3, through(server)) as processes:
            await fail(processes[0], 5)
            await all_are("OPEN", *processes)
            server.kill()
            await until(lambda: not any(p.link.redis_connected for p in processes))
            await processes[1].reset(P)
            assert processes[0].view(P).state.name == "OPEN"
            server.start()
            await until(lambda: all(p.link.redis_connected for p in processes))
            await all_are("CLOSED", *processes)

    play(scenario())


def test_it_may_not_be_there_at_first(server: Server) -> None:
    """Processes serve without it, say so, and find it when it comes."""

    async def scenario() -> None:
        server.kill()
        settings = BreakerSettings(providers=(P,), sync=through(server))
        async with opened(settings) as one, opened(settings) as other:
            assert not one.link.redis_connected
            assert not one.link.sync_enabled
            await fail(one, 5)
            server.start()
            await all_are("OPEN", one, other)
            await until(lambda: one.link.redis_connected and other.link.redis_connected)

    play(scenario())


def test_what_redis_forgets_is_brought_back(server: Server) -> None:
    """Evicted keys change nothing: late joiners know, and no process forgets."""

    async def scenario() -> None:
        async with together(2, through(server)) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            server.ask("FLUSHALL")
            await until(lambda: server.ask("EXISTS", f"{STATE}{P}") == "1")
            assert server.ask("TTL", f"{STATE}{P}") != "-1"
            async with opened(BreakerSettings(providers=(P,), sync=through(server))) as late:
                assert late.view(P).state.name == "OPEN"
            assert {p.view(P).version for p in (one, other)} == {1}

    play(scenario())


def test_news_missed_between_two_subscriptions_is_read(server: Server) -> None:
    """A subscription that breaks begins anew, with a look at what is in force."""

    async def scenario() -> None:
        async with together(2, through(server)) as (one, other):
            server.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await fail(one, 5)
            await all_are("OPEN", one, other)
            await until(lambda: one.link.redis_connected and other.link.redis_connected)
            await other.reset(P)
            await all_are("CLOSED", one, other)

    play(scenario())


def test_late_news_and_nonsense_change_nothing(server: Server) -> None:
    """An event of an older version does not open a closed circuit; what is no event is passed over."""

    async def scenario() -> None:
        async with together(2, through(server)) as (one, other):
            listener = await asyncio.create_subprocess_exec(
                *("redis-cli", "-h", ADDRESS, "-p", str(server.port), "SUBSCRIBE", f"{STATE}{P}"),
                stdout=asyncio.subprocess.PIPE,
            )
            assert listener.stdout is not None
            for _ in range(3):
                await listener.stdout.readline()
            await fail(one, 5)
            news = [(await listener.stdout.readline()).decode() for _ in range(3)][-1]
            listener.terminate()
            await listener.wait()
            assert json.loads(news)["state"] == "OPEN"
            await all_are("OPEN", one, other)
            await one.reset(P)
            await all_are("CLOSED", one, other)
            for text in (news, "nonsense", "{}", '{"state": 5}', "[1]", "null"):
                server.ask("PUBLISH", f"{STATE}{P}", text)
                server.ask("PUBLISH", f"circuit_breaker:calls:{P}", text)
            for _ in range(4):
                await fail(one)
            await until(lambda: other.view(P).failure_count == 4)
            assert {p.view(P).state.name for p in (one, other)} == {"CLOSED"}
            await succeed(other)

    play(scenario())


def test_goes_on_after_a_mistake_of_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody thought of ends a connection, not the sharing; it is told with its trace."""
    take, mistakes = RedisLink._take, iter([True])

    def mistaken(self: RedisLink, channel: str, data: bytes) -> None:
        if next(mistakes, False):
            raise ZeroDivisionError
        take(self, channel, data)

    monkeypatch.setattr(RedisLink, "_take", mistaken)

    async def scenario() -> None:
        async with together(2, through(server)) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            await other.reset(P)
            await all_are("CLOSED", one, other)
            await until(lambda: one.link.redis_connected and other.link.redis_connected)

    play(scenario())
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("url", ["redis://h:port", "http://h", "h:6379"])
def test_an_url_that_is_none_is_told_before_anything_runs(url: str) -> None:
    """As wrong usage."""

    async def scenario() -> None:
        async with opened(BreakerSettings(providers=(P,), sync=SyncSettings(redis=RedisSettings(url=url)))):
            pass

    with pytest.raises(UsageError, match="--redis"):
        play(scenario())


def test_wants_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the URL or beside it; who has a wrong one is on its own, says why, and never says the password."""

    async def scenario(url: str) -> None:
        beside = SyncSettings(redis=RedisSettings(url=url, password="secret"))
        within = SyncSettings(redis=RedisSettings(url=url.replace("redis://", "redis://:secret@")))
        wrong = SyncSettings(redis=RedisSettings(url=url, password="wrong-canary"))
        async with together(1, beside) as (one,), together(1, within) as (other,):
            await fail(one, 5)
            await all_are("OPEN", one, other)
            async with opened(BreakerSettings(providers=(P,), sync=wrong)) as stranger:
                assert stranger.view(P).state.name == "CLOSED"
                assert not stranger.link.redis_connected
        assert "Failed to connect to Redis" in caplog.text
        assert "secret" not in caplog.text + repr((beside, within))
        assert "canary" not in caplog.text + repr(wrong)

    with redis_server(tmp_path, "--requirepass", "secret") as guarded:
        play(scenario(guarded.url))


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_shares_over_tls(tmp_path: Path) -> None:
    """`rediss://`, whose certificate is checked: without its CA nothing is shared."""
    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=redis", "-addext", f"subjectAltName=IP:{ADDRESS}"]
    files = ["-out", str(own), "-keyout", str(key)]
    subprocess.run(["openssl", "req", "-x509", *kind, *subject, *files], check=True, capture_output=True)

    async def scenario(url: str) -> None:
        checked = SyncSettings(redis=RedisSettings(url=f"{url}?ssl_ca_certs={own}"))
        async with together(2, checked) as (one, other):
            await fail(one, 5)
            await all_are("OPEN", one, other)
        strange = SyncSettings(redis=RedisSettings(url=url))
        async with opened(BreakerSettings(providers=(P,), sync=strange)) as stranger:
            assert not stranger.link.redis_connected

    with socket.create_server((ADDRESS, 0)) as free:
        port = int(free.getsockname()[1])
    options = ["--tls-port", str(port), "--tls-cert-file", str(own), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(own), "--tls-auth-clients", "no"]
    with redis_server(tmp_path, *options):
        play(scenario(f"rediss://{ADDRESS}:{port}"))


def test_shares_through_a_cluster(tmp_path: Path) -> None:
    """Each provider has one key, and news reaches whichever node a process listens at."""

    async def scenario(sync: SyncSettings) -> None:
        async with together(2, sync, recovery=0.2) as (one, other):
            assert one.link.redis_connected
            await fail(one, 3)
            await fail(other, 2)
            await all_are("OPEN", one, other)
            (await probe(one, other)).succeeded()
            await all_are("CLOSED", one, other)

    options = ("--cluster-enabled", "yes", "--cluster-announce-ip", ADDRESS)
    with redis_server(tmp_path, *options) as node:
        node.ask("cluster", "addslotsrange", "0", "16383")
        while "cluster_state:ok" not in node.ask("cluster", "info"):
            pass
        url = node.url.replace("redis://", "redis+cluster://")
        play(scenario(SyncSettings(redis=RedisSettings(url=url))))


CIRCUITS = st.builds(
    Circuit,
    state=st.sampled_from(State),
    version=st.integers(1, 3),
    author=st.builds(Author, name=st.just("h:1"), tie=st.integers(1, 3)),
    cause=st.sampled_from(["failures", "reset"]),
    due=st.sampled_from([-100.0, 0.0, 100.0, 200.0]),
)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(brought=st.lists(st.tuples(CIRCUITS, st.booleans()), min_size=1, max_size=6))
def test_the_script_decides_as_the_model_does(server: Server, brought: list[tuple[Circuit, bool]]) -> None:
    """Which circuit is in force after any row of circuits and claims: in Redis the one that is here."""
    import redis as library

    client = library.Redis.from_url(server.url, decode_responses=True)
    client.delete("k")
    known: Circuit | None = None
    for circuit, claim in brought:
        if granted(circuit, known, 0.0) if claim else known is None or supersedes(circuit, known):
            known = circuit
        arguments = (circuit.version, int(circuit.cause == "reset"), circuit.author.tie)
        times = (int(1000 * circuit.due), int(1000 * SLACK), int(claim), 60000)
        answer = client.eval(PUT, 1, "k", *arguments, *times, "c", repr(circuit))
        assert answer[0] == repr(known)
        assert known is not None
        assert abs(int(answer[1]) - 1000 * known.due) < 1000 * SLACK
    client.close()
