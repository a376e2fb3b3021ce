"""validate.sh: what it makes of its arguments, and how it refuses."""

import argparse
import re

import pytest

from tests.scripts.checkout import Checkout, program

SCENARIO = "scenarios/discovery/two_servers.scenario.yaml"


@pytest.fixture
def validating(checkout: Checkout) -> Checkout:
    """A checkout whose muster prints where it was started and each of its arguments, on a line each."""
    checkout.run("scripts/setup")
    program(
        checkout.root / ".venv/bin/muster", '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\nexit ${MUSTER_EXIT:-0}\n'
    )
    return checkout


@pytest.mark.parametrize(
    ("arguments", "passed_on"),
    [
        ([], []),
        (["10.0.0.5"], ["--attach", "10.0.0.5"]),
        (
            ["--registry-port", "1", "10.0.0.5", "--scheme=https"],
            ["--attach", "10.0.0.5", "--registry-port", "1", "--scheme=https"],
        ),
        (["--inventory", "i.yaml", "--scheme", "https"], ["--inventory", "i.yaml", "--scheme", "https"]),
        (["10.0.0.5", "--token-file", "my token"], ["--attach", "10.0.0.5", "--token-file", "my token"]),
        (["10.0.0.5", "-k", "registers"], ["--attach", "10.0.0.5", "-k", "registers"]),
        (["--hosts", "process", "--run-dir", "/tmp/a b"], ["--hosts", "process", "--run-dir", "/tmp/a b"]),
    ],
)
def test_the_address_and_the_options_reach_muster(
    validating: Checkout, arguments: list[str], passed_on: list[str]
) -> None:
    """From any folder, in a checkout with a space in its path."""
    ended = validating.run("validate.sh", *arguments)
    assert ended.stdout.splitlines() == [
        str(validating.cwd),
        "run",
        str(validating.root / SCENARIO),
        *passed_on,
    ]


@pytest.mark.parametrize("code", [0, 1, 5, 6, 130])
def test_musters_exit_code_is_its_own(validating: Checkout, code: int) -> None:
    """What muster ends with is what the user's script sees."""
    assert validating.run("validate.sh", MUSTER_EXIT=str(code)).returncode == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--registry-prot", "1"], "there is no option '--registry-prot'"),
        (["10.0.0.5", "10.0.0.6"], "'10.0.0.5' and '10.0.0.6'"),
        (["10.0.0.5", "--registry-port"], "--registry-port needs a value"),
        ([""], "ADDRESS is empty"),
        (["--router-port", "8001"], "--router-port is for servers that already run"),
        (["--scheme=https"], "--scheme is for servers that already run"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_set_up(
    checkout: Checkout, arguments: list[str], words: str
) -> None:
    """Exit code 4, the mistake, and where the examples are."""
    ended = checkout.run("validate.sh", *arguments)
    assert ended.returncode == 4
    assert words in ended.stderr
    assert "./validate.sh --help" in ended.stderr
    assert checkout.asked == []


def test_every_option_of_muster_run_is_offered(checkout: Checkout) -> None:
    """What `muster run` can do, ./validate.sh can do; ADDRESS stands for --attach, its scenario has no --param."""
    from harness.cli.run import add

    parsers = argparse.ArgumentParser().add_subparsers()
    add(parsers)
    options = set(re.findall(r"^  (-k|--[a-z-]+)", parsers.choices["run"].format_help(), re.MULTILINE))
    offered = set(
        re.findall(r"^  (-k|--[a-z-]+)", checkout.run("validate.sh", "--help").stdout, re.MULTILINE)
    )
    assert offered == options - {"--attach", "--param"}


def test_help_shows_examples_at_once(checkout: Checkout) -> None:
    """--help needs no set-up, and names every option that is accepted."""
    ended = checkout.run("validate.sh", "--help")
    assert ended.returncode == 0
    assert "./validate.sh 10.0.0.5 --registry-port 18000" in ended.stdout
    assert checkout.asked == []


def test_a_machine_that_cannot_is_unknown_not_failed(checkout: Checkout) -> None:
    """When set-up fails nothing is known about the servers: exit code 6."""
    assert checkout.run("validate.sh", FAKE_FACTS="3.9 False True").returncode == 6
