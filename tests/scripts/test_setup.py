"""scripts/setup: once, again only when something changed, and one clear line when it cannot."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scripts.checkout import Checkout


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A pipe at which the stand-in for pip waits; to open it for writing is to know that pip runs."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_what_is_set_up_is_left_alone(checkout: Checkout) -> None:
    """The second set-up asks nothing of Python and prints nothing."""
    assert checkout.run("scripts/setup").returncode == 0
    asked = checkout.asked
    again = checkout.run("scripts/setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.asked == asked == ["venv", "pip .[docker]"]


def test_set_up_costs_little_when_done(
    checkout: Checkout, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What every command pays is far below a second; the figure is printed."""
    checkout.run("scripts/setup")
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        checkout.run("scripts/setup")
        spent.append(time.perf_counter() - began)
    median = statistics.median(spent) * 1000
    record_property("milliseconds", f"{median:.0f}")
    with capsys.disabled():
        print(f" set-up when done: {median:.0f} ms ", end="")
    assert median < 1000


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed(checkout: Checkout, changed: str) -> None:
    """A change in what is asked for leads to one more installation, into the environment that is there."""
    checkout.run("scripts/setup")
    with (checkout.root / changed).open("a") as file:
        file.write("# changed\n")
    checkout.run("scripts/setup")
    checkout.run("scripts/setup")
    assert checkout.asked == ["venv", "pip .[docker]", "pip .[docker]"]


def test_what_developers_need_contains_what_users_need(checkout: Checkout) -> None:
    """After scripts/setup dev nothing is left to do for ./validate.sh; the other way round there is."""
    checkout.run("scripts/setup", "docker")
    checkout.run("scripts/setup", "dev")
    checkout.run("scripts/setup", "docker")
    assert checkout.asked == ["venv", "pip .[docker]", "pip .[dev]"]


def test_a_set_up_that_was_killed_starts_afresh(checkout: Checkout, gate: Path) -> None:
    """Half an installation is not built upon."""
    with checkout.start("scripts/setup", FAKE_GATE=str(gate)) as killed, gate.open("w"):
        killed.kill()
    assert checkout.run("scripts/setup").returncode == 0
    assert checkout.asked == ["venv", "pip .[docker]"] * 2


def test_a_checkout_that_was_moved_starts_afresh(checkout: Checkout) -> None:
    """An environment holds its own path, so it is made again at the new one."""
    checkout.run("scripts/setup")
    moved = checkout.root.rename(checkout.root.with_name("elsewhere"))
    assert replace(checkout, root=moved).run("scripts/setup").returncode == 0
    assert checkout.asked == ["venv", "pip .[docker]"] * 2


def test_a_python_that_went_away_is_replaced(checkout: Checkout) -> None:
    """After an upgrade of the system's Python the environment's link leads nowhere."""
    checkout.run("scripts/setup")
    (checkout.root / ".venv/bin/python").unlink()
    (checkout.root / ".venv/bin/python").symlink_to("/nowhere/python3.10")
    assert checkout.run("scripts/setup").returncode == 0
    assert checkout.asked == ["venv", "pip .[docker]"] * 2


def test_two_at_once_install_once(checkout: Checkout, gate: Path) -> None:
    """The second waits, says so, and finds the work done."""
    with checkout.start("scripts/setup", FAKE_GATE=str(gate)) as first:
        held = os.open(gate, os.O_WRONLY)
        with checkout.start("scripts/setup") as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            os.close(held)
            second.communicate()
        first.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "another set-up" in waiting
    assert checkout.asked == ["venv", "pip .[docker]"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"FAKE_FACTS": "3.9 False True"},
            ["Python 3.11 or newer is needed", "this is 3.9", "MUSTER_PYTHON"],
        ),
        ({"FAKE_FACTS": "3.11 True False"}, ["no venv module", "apt-get install python3-venv"]),
        ({"MUSTER_PYTHON": "/nowhere/python3"}, ["none was found as /nowhere/python3"]),
        (
            {"FAKE_PIP_FAILS": "NewConnectionError: Connection refused"},
            ["cannot reach its package index", "PIP_INDEX_URL"],
        ),
        ({"FAKE_PIP_FAILS": "SSLError: CERTIFICATE_VERIFY_FAILED"}, ["does not trust", "PIP_CERT"]),
        ({"FAKE_PIP_FAILS": "satisfies hatchling (from versions: none)"}, ["cannot reach its package index"]),
        (
            {"FAKE_PIP_FAILS": "No matching distribution found for numpy==99\n"},
            ["does not have numpy==99,", "scripts/lock"],
        ),
        (
            {"FAKE_PIP_FAILS": "OSError: [Errno 28] No space left on device"},
            ["the disk is full", "make room"],
        ),
        (
            {"FAKE_VENV_FAILS": "OSError: [Errno 28] No space left on device"},
            ["the disk is full (making .venv"],
        ),
        ({"FAKE_VENV_FAILS": "Command '-m ensurepip' returned 1"}, ["apt-get install python3-venv"]),
    ],
)
def test_what_is_in_the_way_is_said_in_one_line(
    checkout: Checkout, environment: dict[str, str], words: list[str]
) -> None:
    """Exit code 6, no trace, and a last line with the reason and the next move."""
    ended = checkout.run("scripts/setup", **environment)
    lines = [line for line in ended.stderr.splitlines() if "the first time takes" not in line]
    assert ended.returncode == 6
    assert len(lines) == 1
    assert [word for word in words if word not in lines[0]] == []
    assert checkout.run("scripts/setup").returncode == 0


def test_a_failure_nobody_foresaw_shows_its_own_words(checkout: Checkout) -> None:
    """What pip said last is printed before the line that says what failed."""
    ended = checkout.run("scripts/setup", FAKE_PIP_FAILS="the moon is full")
    assert ended.returncode == 6
    assert ended.stderr.splitlines()[-2:] == [
        "the moon is full",
        "set-up: installing the packages failed; the lines above are its own words",
    ]


def test_an_unknown_set_up_is_refused(checkout: Checkout) -> None:
    """A name that is neither docker nor dev is wrong usage."""
    ended = checkout.run("scripts/setup", "prod")
    assert (ended.returncode, "'prod'" in ended.stderr) == (4, True)
