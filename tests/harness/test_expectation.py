"""When an expectation is judged: once, all the while, never."""

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checks.availability import Availability
from harness.checks.http import Http
from harness.checks.models import Models
from harness.checks.registered import Registered
from harness.errors import Place
from harness.events import Seen
from harness.evidence import Evidence
from harness.expectation import is_over, judge
from harness.model import Expect
from harness.verdict import Status, Verdict
from tests.harness.checks.story import ALL_NAMES, Story

HERE = Place("x.scenario.yaml", 1)
A = Registered(("babysitter-a",))


def expect(check: object, **when: object) -> Expect:
    return Expect(check=check, place=HERE, **when)  # type: ignore[arg-type]


def test_once_is_the_check_itself() -> None:
    """Without a time, or with `within`, the verdict is the check's on the evidence so far."""
    evidence = Story().entries(1, "babysitter-a").evidence()
    assert judge(expect(A), evidence) == judge(expect(A, within=5.0), evidence) == A.judge(evidence)


def test_hold_passes_when_it_stayed_true() -> None:
    """True at every look is a pass that says for how long."""
    story = Story().entries(0.1, "babysitter-a")
    for tenth in range(2, 50):
        story.same(tenth / 10)
    verdict = judge(expect(A, hold=5.0), story.evidence(0, 5))
    assert verdict.status is Status.PASS
    assert verdict.message.endswith("so it stayed for 5.0 s")


def test_hold_fails_at_the_first_moment_it_does_not() -> None:
    """One look that shows otherwise settles it, even if the next ones are fine; the time is named."""
    story = Story().entries(1, "babysitter-a").entries(2.5, "babysitter-b").entries(2.6, "babysitter-a")
    verdict = judge(expect(A, hold=5.0), story.evidence(0, 3))
    assert verdict.status is Status.FAIL
    assert verdict.settled
    assert verdict.message.startswith(
        "it held until 00:01.000, but babysitter-a is not registered at registry"
    )
    assert "at 00:02.500" in verdict.message


def test_hold_without_a_look_is_unknown() -> None:
    """Nothing seen in the window is not a pass."""
    assert judge(expect(A, hold=5.0), Story().evidence(0, 5)).status is Status.UNKNOWN


def test_hold_in_the_dark_is_unknown() -> None:
    """Seen once at the start and not again for most of the window: nobody knows whether it held."""
    story = Story().entries(0.1, "babysitter-a").silence(0.2, "refused").silence(4.8, "refused")
    story.silence(4.9, "not this one", "router", "models")
    verdict = judge(expect(A, hold=5.0), story.evidence(0, 5))
    assert verdict.status is Status.UNKNOWN
    assert "from 00:00.100 to 00:05.000" in verdict.message
    assert "(refused)" in verdict.message


def test_hold_sees_an_answer_that_fails_to_come() -> None:
    """A URL that refuses once in between did not answer all the while."""
    url = "http://server1:18000/health"
    answer = {"status": 200, "headers": {}, "body": "", "json": None}
    view = f"http:{url}"
    story = Story().add(1, Seen(source="", view=view, ok=True, took=0.1, value=answer))
    story.silence(1.5, f"{url} refused the connection", "", view).same(2, "", view)
    verdict = judge(expect(Http(url), hold=2.0), story.evidence(0.5, 2.5))
    assert verdict.status is Status.FAIL
    assert "refused the connection" in verdict.message


def test_hold_does_not_look_back() -> None:
    """What was shown before the window began is not held against it."""
    story = Story().entries(1, "babysitter-b").entries(3, "babysitter-a").same(3.5)
    assert judge(expect(A, hold=2.0), story.evidence(2, 4)).status is Status.PASS


def test_hold_of_a_load_is_judged_as_a_whole() -> None:
    """A check on requests is not judged on the first few of them."""
    story = Story().request(1, outcome="error", status=503)
    for second in range(2, 12):
        story.request(second)
    assert judge(expect(Availability(0.9), hold=10.0), story.evidence(0, 11)).status is Status.PASS


def test_never_fails_at_the_first_moment_it_is_so() -> None:
    """One look at which the check passes settles it."""
    story = Story().entries(1, "babysitter-b").entries(2, "babysitter-a").entries(3, "babysitter-b")
    verdict = judge(expect(A, never=True, hold=5.0), story.evidence(0, 3))
    assert verdict.status is Status.FAIL
    assert verdict.settled
    assert "00:02.000" in verdict.message


def test_never_passes_only_when_the_window_is_over() -> None:
    """Before the end it is unknown, at the end a pass; with nothing seen it stays unknown."""
    story = Story().entries(0.1, "babysitter-b").same(0.9).same(1.8)
    wish = expect(A, never=True, hold=2.0)
    assert judge(wish, story.evidence(0, 1)).status is Status.UNKNOWN
    assert judge(wish, story.evidence(0, 2)).status is Status.PASS
    assert judge(wish, Story().evidence(0, 2)).status is Status.UNKNOWN


def test_a_check_that_crashes_knows_nothing() -> None:
    """An exception in a check is unknown, settled, and says where it came from."""

    class Broken:
        def judge(self, evidence: Evidence) -> Verdict:
            raise KeyError(evidence.load)

    verdict = judge(expect(Broken(), within=5.0), Story().evidence(load="load-1"))
    assert verdict.status is Status.UNKNOWN
    assert verdict.settled
    assert "KeyError: 'load-1'" in verdict.message
    assert "test_expectation.py" in verdict.message


def test_never_in_the_dark_is_unknown() -> None:
    """Not seen while nobody could look is not never."""
    story = Story().entries(0.1, "babysitter-b").silence(0.2, "refused").silence(4.9, "refused")
    verdict = judge(expect(A, never=True, hold=5.0), story.evidence(0, 5))
    assert verdict.status is Status.UNKNOWN
    assert "nobody can say what registry showed" in verdict.message


def test_never_of_unjudgeable_looks_says_why() -> None:
    """Looks at which the check knows nothing leave it unknown, with the check's reason."""
    verdict = judge(
        expect(Registered(("nobody",)), never=True, hold=1.0), Story().entries(0.5).evidence(0, 1)
    )
    assert verdict.status is Status.UNKNOWN
    assert "no service registers as nobody" in verdict.message


def test_is_over() -> None:
    """A window ends with its limit; without one it has none."""
    evidence = Story().evidence(1, 3)
    assert is_over(expect(A), evidence)
    assert is_over(expect(A, within=2.0), evidence)
    assert not is_over(expect(A, hold=2.1), evidence)


MODELS = st.lists(
    st.sampled_from([("model-1",), ("model-2",), ("model-1", "model-2")]), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(seen=MODELS)
def test_a_settled_verdict_never_changes(seen: list[tuple[str, ...]]) -> None:
    """Whatever comes later, a settled verdict on a prefix of the history is the verdict on all of it."""
    story = Story()
    for number, models in enumerate(seen, start=1):
        story.models(number / 10, *models)
    check = Models(("model-1", "model-2"))
    for wish in (expect(check, hold=2.0), expect(check, never=True, hold=2.0)):
        whole = judge(wish, story.evidence(0, 2))
        prefixes = [judge(wish, story.evidence(0, n / 10)) for n in range(1, len(seen) + 1)]
        assert all(prefix == whole for prefix in prefixes if prefix.settled)
        assert whole.status is not Status.PASS or all(p.status is not Status.FAIL for p in prefixes)


@settings(max_examples=40, deadline=None)
@given(seen=MODELS)
def test_repeated_observations_change_nothing(seen: list[tuple[str, ...]]) -> None:
    """Looks that show the same as before do not change the verdict."""
    sparse, dense = Story(), Story()
    for number, models in enumerate(seen, start=1):
        sparse.models(number / 10, *models)
        dense.models(number / 10, *models).same(number / 10 + 0.05, "router", "models")
    wish = expect(Models(("model-1", "model-2")), hold=1.0)
    told = [judge(wish, story.evidence(0, 1)) for story in (sparse, dense)]
    assert told[0].status is told[1].status
    assert told[0].message == told[1].message


def test_all_names_hold_cheaply() -> None:
    """Ten thousand requests beside a long poll are judged without looking at each of them."""
    story = Story().entries(0.05, *ALL_NAMES)
    for number in range(1, 5000):
        story.request(number / 1000, "babysitter-a-server")
        if number % 100 == 0:
            story.same(number / 1000)
    assert judge(expect(Registered("all"), hold=5.0), story.evidence(0, 5)).status is Status.PASS
