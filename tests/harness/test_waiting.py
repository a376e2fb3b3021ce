"""Waiting for an expectation while the history grows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.clock import SystemClock
from harness.events import Note
from harness.evidence import Evidence, Facts
from harness.history import History, of
from harness.model import Expect
from harness.testing import HERE
from harness.verdict import Status, Verdict, failed, passed
from harness.waiting import await_verdict


@dataclass
class Notes:
    """Passes once the history holds so many notes; can say that it never will."""

    wanted: int
    hopeless: bool = False

    def judge(self, evidence: Evidence) -> Verdict:
        found = sum(1 for _ in of(evidence.window(), Note))
        if found >= self.wanted:
            return passed(f"{found} notes")
        return failed(f"{found} notes", settled=self.hopeless)


def wait(
    check: Notes, meanwhile: Callable[[History], None] | None = None, **when: Any
) -> tuple[Verdict, float]:
    """Await a check on a fresh history; returns the verdict and how long it took."""

    async def main() -> tuple[Verdict, float]:
        history = History(SystemClock())
        if meanwhile is not None:
            asyncio.get_running_loop().call_later(0.03, meanwhile, history)
        expect = Expect(check=check, place=HERE, **when)
        verdict = await await_verdict(expect, history, Facts(), since=0.0)
        return verdict, history.now()

    return asyncio.run(main())


def note(history: History) -> None:
    history.append(Note(text="now"))


def test_within_is_over_as_soon_as_the_check_passes() -> None:
    """A pass ends the wait at once, long before its limit."""
    verdict, took = wait(Notes(1), note, within=30.0)
    assert verdict.status is Status.PASS
    assert took < 5.0


def test_within_fails_at_its_limit() -> None:
    """What never becomes true fails when the time is over, not before."""
    verdict, took = wait(Notes(2), note, within=0.1)
    assert verdict.message == "1 notes"
    assert took >= 0.1


def test_within_is_over_as_soon_as_it_can_no_longer_pass() -> None:
    """A settled failure is not waited out."""
    verdict, took = wait(Notes(1, hopeless=True), within=30.0)
    assert verdict.status is Status.FAIL
    assert took < 5.0


def test_without_a_time_it_is_judged_once() -> None:
    """No `within`, no waiting."""
    verdict, took = wait(Notes(1), note)
    assert verdict.status is Status.FAIL
    assert took < 0.03


def test_what_comes_after_the_limit_does_not_count() -> None:
    """Evidence is cut at the deadline, however late the judgement."""

    async def main() -> Verdict:
        history = History(SystemClock())
        await asyncio.sleep(0.02)
        note(history)
        return await await_verdict(
            Expect(check=Notes(1), place=HERE, within=0.001), history, Facts(), since=0.0
        )

    assert asyncio.run(main()).status is Status.FAIL
