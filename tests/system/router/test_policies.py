"""Policies: one suite that every policy passes, then what each promises. Seeded chance, no clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import system.router.policies as package
from system.router.asked import Asked
from system.router.backends import Backend
from system.router.entries import Entry
from system.router.policies import POLICIES, Options, Policy
from system.router.policies.cache_type import CacheType, text_size
from system.router.policies.prefix import Prefix
from system.router.policies.session import Session
from system.router.policies.weighted import Weighted

Make = Callable[[Options], Policy]


def backend(name: str, weight: float = 1, **metadata: object) -> Backend:
    return Backend(Entry(name=name, host="h", port=1, models=("m",), weight=weight, metadata=metadata))


def asked(prompt: str = "hello", session: str = "") -> Asked:
    key = {"prompt_cache_key": session} if session else {}
    return Asked("m", {"messages": [{"role": "user", "content": prompt}], **key})


def options(seed: int = 1) -> Options:
    return Options(random=Random(seed))


def picks(policy: Policy, backends: Sequence[Backend], times: int, ask: Asked | None = None) -> Counter[str]:
    return Counter(policy.pick(backends, ask or asked()).name for _ in range(times))


every_policy = pytest.mark.parametrize("make", POLICIES.values(), ids=list(POLICIES))


def test_every_policy_is_in_the_table() -> None:
    """A file without a row is a policy that nobody can choose."""
    files = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__", "base"}
    assert {make.__module__.rpartition(".")[2] for make in POLICIES.values()} == files


@every_policy
def test_only_backend_is_always_picked(make: Make) -> None:
    """With one backend there is nothing to choose, whatever its weight, load or tags."""
    only = backend("a", weight=0, cache_type="static")
    only.outstanding = 1000
    assert picks(make(options()), [only], 20) == {"a": 20}


@every_policy
def test_membership_may_change_between_any_two_picks(make: Make) -> None:
    """Whoever comes or goes, the pick is one of those given."""
    policy, everybody = make(options()), [backend(name) for name in "abcdef"]
    random = Random(7)
    for number in range(500):
        given_now = random.sample(everybody, random.randint(1, 6))
        assert policy.pick(given_now, asked(session=str(number % 9))) in given_now


@every_policy
def test_every_backend_gets_its_turn(make: Make) -> None:
    """Different sessions with different prompts reach every backend of equal weight."""
    policy, backends = make(options()), [backend(name) for name in "abcd"]
    served = Counter(policy.pick(backends, asked(f"{n} " * 300, session=f"s{n}")).name for n in range(400))
    assert set(served) == set("abcd")
    assert min(served.values()) > 50


@every_policy
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000))
def test_no_counter_sticks_or_goes_negative(make: Make, seed: int) -> None:
    """Requests that begin and end in any order leave every counter at zero, and never below."""
    random, policy = Random(seed), make(options(seed))
    backends = [backend(name) for name in "abc"]
    under_way: list[Backend] = []
    for _ in range(100):
        if under_way and random.random() < 0.5:
            under_way.pop(random.randrange(len(under_way))).outstanding -= 1
        else:
            chosen = policy.pick(backends, asked(session=str(random.randrange(5))))
            chosen.outstanding += 1
            under_way.append(chosen)
        assert all(one.outstanding >= 0 for one in backends)
    assert sum(one.outstanding for one in backends) == len(under_way)


def test_round_robin_is_strict() -> None:
    """Each cycle hits every backend exactly once."""
    policy, backends = POLICIES["round-robin"](options()), [backend(name) for name in "abc"]
    assert all(set(picks(policy, backends, 3).values()) == {1} for _ in range(20))


def test_weighted_gives_exact_shares_without_bursts() -> None:
    """Weights 3, 1, 0: of every four picks three and one, never four in a row; nothing for zero."""
    policy = Weighted(options())
    backends = [backend("a", 3), backend("b", 1), backend("c", 0)]
    order = [policy.pick(backends, asked()).name for _ in range(40)]
    assert all(Counter(order[start : start + 4]) == {"a": 3, "b": 1} for start in range(0, 40, 4))
    assert "aaaa" not in "".join(order)


def test_shares_of_uneven_weights_are_exact() -> None:
    """Weights 5, 3 and 2: every ten picks in a row are five, three and two."""
    backends = [backend("a", 5), backend("b", 3), backend("c", 2)]
    policy = Weighted(options())
    order = [policy.pick(backends, asked()).name for _ in range(50)]
    assert all(Counter(order[start : start + 10]) == {"a": 5, "b": 3, "c": 2} for start in range(40))


def test_weights_that_are_all_zero_are_equal() -> None:
    """A deployment that gave nobody a weight is still served."""
    assert picks(Weighted(options()), [backend("a", 0), backend("b", 0)], 10) == {"a": 5, "b": 5}


@pytest.mark.parametrize("name", ["random", "least-outstanding", "two-choices"])
def test_ties_are_broken_at_random(name: str) -> None:
    """Idle backends are picked equally often: 4000 picks of 4 lie within five standard deviations."""
    served = picks(POLICIES[name](options()), [backend(one) for one in "abcd"], 4000)
    assert all(abs(count - 1000) < 5 * 27.4 for count in served.values())


def test_least_outstanding_picks_the_least() -> None:
    """The one with the fewest requests on their way gets the next."""
    backends = [backend(name) for name in "abc"]
    for one, outstanding in zip(backends, (3, 1, 2), strict=True):
        one.outstanding = outstanding
    assert picks(POLICIES["least-outstanding"](options()), backends, 20) == {"b": 20}


def test_two_choices_never_picks_the_most_loaded() -> None:
    """Of any two that are drawn the fuller one is not taken."""
    backends = [backend(name) for name in "abc"]
    for one, outstanding in zip(backends, (3, 1, 2), strict=True):
        one.outstanding = outstanding
    assert set(picks(POLICIES["two-choices"](options()), backends, 200)) == {"b", "c"}


def test_session_stays_with_its_backend_in_every_router() -> None:
    """Two routers that never talked send a session to the same backend, every time."""
    backends = [backend(name) for name in "abcde"]
    for n in range(50):
        served = picks(Session(options(1)), backends, 5, asked(session=f"s{n}"))
        served += picks(Session(options(2)), backends[::-1], 5, asked(session=f"s{n}"))
        assert len(served) == 1


def test_only_the_sessions_of_a_backend_that_leaves_move() -> None:
    """Nobody else's session changes its backend, and all of them return with it."""
    backends = [backend(name) for name in "abcde"]
    policy = Session(options())

    def homes(of: list[Backend]) -> dict[str, str]:
        return {f"s{n}": policy.pick(of, asked(session=f"s{n}")).name for n in range(500)}

    before, without = homes(backends), homes(backends[1:])
    assert {session for session in before if before[session] != without[session]} == {
        session for session in before if before[session] == "a"
    }
    assert homes(backends) == before


def test_sessions_are_spread_evenly() -> None:
    """10,000 sessions over 10 backends: each within five standard deviations of its share."""
    backends = [backend(f"b{n}") for n in range(10)]
    policy = Session(options())
    served = Counter(policy.pick(backends, asked(session=f"s{n}")).name for n in range(10_000))
    assert all(abs(count - 1000) < 5 * 30 for count in served.values())


def test_busy_session_does_not_sink_its_backend() -> None:
    """However many requests one session has under way, no backend gets over the bound."""
    backends = [backend(name) for name in "abcd"]
    policy = Session(options())
    for _ in range(100):
        policy.pick(backends, asked(session="one")).outstanding += 1
    assert max(one.outstanding for one in backends) <= 1.25 * 100 / 4 + 1


def test_long_prompts_go_to_static_caches_and_short_ones_to_paged() -> None:
    """The contract's threshold: more than 51,200 bytes is long."""
    policy = CacheType(options())
    backends = [backend("s", cache_type="static"), backend("p", cache_type="paged"), backend("x")]
    assert picks(policy, backends, 5, asked("x" * 51_200)) == {"p": 5}
    assert picks(policy, backends, 5, asked("x" * 51_201)) == {"s": 5}


def test_without_a_fitting_cache_the_session_decides() -> None:
    """Then weighted round robin where there is no session either."""
    policy = CacheType(options())
    backends = [backend("s", cache_type="static"), backend("x", 3), backend("y", 1)]
    assert len(picks(policy, backends, 8, asked(session="one"))) == 1
    assert picks(policy, backends[1:], 8) == {"x": 6, "y": 2}


@pytest.mark.parametrize(
    ("document", "size"),
    [
        ({"messages": [{"content": "aé"}, {"content": None}, 7]}, 3),
        (
            {"messages": [{"content": [{"type": "text", "text": "ab"}, {"content": "c"}, "d", {"text": 1}]}]},
            3,
        ),
        ({"prompt": "abcd"}, 4),
        ({"prompt": ["ab", "c", 7]}, 3),
        ({"prompt": [1, 2, 3]}, 0),
        ({"messages": [], "prompt": "ignored"}, 0),
        ({}, 0),
    ],
)
def test_text_is_counted_in_bytes(document: dict[str, object], size: int) -> None:
    """Text of all messages and their parts, or of the prompt; token ids count nothing."""
    assert text_size(document) == size


def test_growing_conversation_stays_where_its_prefix_is() -> None:
    """Each turn of a conversation goes to the backend that saw the turns before."""
    policy, backends = Prefix(options()), [backend(f"b{n}") for n in range(5)]
    for number in range(20):
        talk = f"conversation {number} " * 60
        home = policy.pick(backends, asked(talk)).name
        for _ in range(5):
            talk += "and another turn of some length, " * 20
            assert policy.pick(backends, asked(talk)).name == home


def test_prefix_gives_way_under_load() -> None:
    """A shared system prompt does not pull everything onto one backend."""
    policy, backends = Prefix(options()), [backend(name) for name in "abcd"]
    for _ in range(100):
        policy.pick(backends, asked("the same long prompt " * 100)).outstanding += 1
    assert max(one.outstanding for one in backends) <= 1.25 * 100 / 4 + 1


@pytest.mark.parametrize("document", [{}, {"messages": []}, {"prompt_cache_key": None}])
def test_requests_without_a_known_prompt_share_no_prefix(document: dict[str, object]) -> None:
    """They go where there is room: what is not known of two requests is not the same."""
    policy, backends = Prefix(options()), [backend(name) for name in "abcd"]
    counts = Counter(policy.pick(backends, Asked("m", document)).name for _ in range(400))
    assert min(counts.values()) > 50
    assert len(policy) == 0


def test_prefix_of_the_responses_api_is_its_input() -> None:
    """`input` is a prompt as `messages` and `prompt` are; the same one goes to the same backend."""
    policy, backends = Prefix(options()), [backend(name) for name in "abcd"]
    for number in range(20):
        document = {"input": f"question {number} " * 60, "instructions": "be brief"}
        assert len({policy.pick(backends, Asked("m", document)).name for _ in range(5)}) == 1


def test_memory_of_prefixes_is_bounded() -> None:
    """The oldest prefixes are forgotten first."""
    policy = Prefix(Options(random=Random(1), prefix_blocks=100))
    for number in range(200):
        policy.pick([backend("a"), backend("b")], asked(f"{number} " * 400))
    assert len(policy) == 100


def test_session_is_read_from_the_body_or_from_the_header() -> None:
    """prompt_cache_key wins over the header; neither is no session; the two never collide."""
    assert Asked("m", {"prompt_cache_key": "k"}, b"h").session == "key:k"
    assert Asked("m", {"prompt_cache_key": 7}, b"h").session == "header:h"
    assert Asked("m", {}).session == ""
