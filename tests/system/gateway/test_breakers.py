"""The breakers of one process: what is admitted, what counts, what pages are shown. The clocks are numbers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from system.gateway.breakers import Breakers, BreakerSettings, Clocks, Options, Permit, Refused, opened

P = "openai"


class Time:
    """Both clocks; the wall's is far ahead."""

    def __init__(self) -> None:
        self.now = 100.0

    def clocks(self) -> Clocks:
        return Clocks(monotonic=lambda: self.now, wall=lambda: self.now + 1e9)


def play(scenario: Callable[[Breakers, Time], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        time = Time()
        made = BreakerSettings(**{"providers": (P, "anthropic"), **settings})  # type: ignore[arg-type]
        async with opened(made, time.clocks()) as breakers:
            await scenario(breakers, time)

    asyncio.run(run())


async def admitted(breakers: Breakers) -> Permit:
    permit = await breakers.admit(P)
    assert isinstance(permit, Permit), permit
    return permit


async def fail(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        (await admitted(breakers)).failed("timeout", 1.0)


def test_opens_at_the_threshold_and_recovers_by_itself() -> None:
    """Five failures; a minute without requests; one probe; closed, with all counts at nought."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        await fail(breakers, 4)
        assert (breakers.view(P).state.name, breakers.view(P).failure_count) == ("CLOSED", 4)
        await fail(breakers, 1)
        view = breakers.view(P)
        assert (view.state.name, view.failure_count, view.opened_at) == ("OPEN", 5, 1e9 + 100)
        assert (view.last_failure_time, view.due_at) == (1e9 + 100, 1e9 + 160)
        time.now += 59.9
        refused = await breakers.admit(P)
        assert isinstance(refused, Refused)
        assert (refused.reason, round(refused.retry_after, 3)) == ("its circuit is open", 0.1)
        time.now += 0.1
        probe = await admitted(breakers)
        assert probe.probe
        assert breakers.view(P).state.name == "HALF_OPEN"
        assert isinstance(await breakers.admit(P), Refused)
        probe.succeeded(0.5)
        view = breakers.view(P)
        assert (view.state.name, view.failure_count, view.opened_at) == ("CLOSED", 0, None)
        assert (view.success_count, view.last_success_time) == (1, time.now + 1e9)
        assert breakers.view("anthropic").version == 0

    play(scenario)


def test_a_bad_probe_means_another_full_wait() -> None:
    """And one failure more."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        await fail(breakers, 5)
        time.now += 60
        await fail(breakers, 1)
        assert (breakers.view(P).state.name, breakers.view(P).failure_count) == ("OPEN", 6)
        assert breakers.view(P).due_at == time.now + 1e9 + 60

    play(scenario)


@pytest.mark.parametrize("rest", [0.0, 7.0])
def test_a_probe_without_a_verdict_is_given_to_the_next(rest: float) -> None:
    """At once, or when the provider wants to be asked again."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        await fail(breakers, 5)
        time.now += 60
        (await admitted(breakers)).abandoned(rest)
        if rest:
            assert isinstance(await breakers.admit(P), Refused)
            time.now += rest
        assert (await admitted(breakers)).probe

    play(scenario)


def test_the_first_verdict_counts() -> None:
    """What is said after it, or by leaving the permit's context, changes nothing."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        with await admitted(breakers) as permit:
            permit.failed("timeout", 1.0)
            permit.failed("timeout", 1.0)
            permit.succeeded(1.0)
        assert breakers.view(P).failure_count == 1
        for _ in range(10):
            with await admitted(breakers):
                pass
        assert (breakers.view(P).failure_count, breakers.view(P).success_count) == (1, 0)

    play(scenario)


def test_calls_that_began_before_it_opened_say_nothing() -> None:
    """Neither a late success closes it nor a late failure makes it wait longer."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        late = [await admitted(breakers) for _ in range(2)]
        await fail(breakers, 5)
        before = breakers.view(P)
        time.now += 1
        late[0].succeeded(1.0)
        late[1].failed("timeout", 1.0)
        assert breakers.view(P) == before

    play(scenario)


def test_a_rest_is_only_ever_extended_and_not_without_end() -> None:
    """A shorter one does not shorten it, and a provider that asks for a day gets five minutes."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        first, second, third = [await admitted(breakers) for _ in range(3)]
        first.abandoned(rest=30)
        second.abandoned(rest=5)
        refused = await breakers.admit(P)
        assert isinstance(refused, Refused)
        assert (refused.state.name, refused.retry_after) == ("CLOSED", 30)
        assert refused.reason == "it asked to be left alone"
        third.abandoned(rest=86400)
        assert breakers.view(P).due_at == time.now + 1e9 + 300
        assert breakers.view(P).failure_count == 0

    play(scenario)


def test_the_strategy_is_chosen_by_name() -> None:
    """And gets its options."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        for good in (True, True, False, False):
            permit = await admitted(breakers)
            permit.succeeded(0.1) if good else permit.failed("timeout", 1.0)
        assert breakers.view(P).state.name == "OPEN"

    play(scenario, strategy="error-rate", options=Options(min_volume=4))


def test_changes_are_logged_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Opening is a warning."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        await fail(breakers, 5)
        await breakers.reset(P)

    with caplog.at_level(logging.INFO, "gateway"):
        play(scenario)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "INFO"]
    assert "circuit of openai is OPEN" in lines[0][1]
    assert "5 failures in a row" in lines[0][1]
    assert lines[1][1].endswith(": reset")


def test_alone_it_says_so() -> None:
    """Nothing is shared where nothing was asked for."""

    async def scenario(breakers: Breakers, time: Time) -> None:
        assert not breakers.link.sync_enabled
        assert not breakers.link.redis_connected
        with pytest.raises(KeyError):
            await breakers.admit("strange")

    play(scenario)
