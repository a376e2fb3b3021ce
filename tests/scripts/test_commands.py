"""scripts/test, scripts/check and .ci/run: everything runs, and no failure is lost."""

import shutil

import pytest

from tests.scripts.checkout import ROOT, Checkout, program

PARTS = ("scripts/setup dev", "./validate.sh", "scripts/check", "scripts/test")
DOCKER = ("docker/engine.sh", "scripts/test-docker")


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout that is set up, with one scenario and an import linter that only notes its call."""
    checkout.run("scripts/setup", "dev")
    (checkout.root / "scenarios").mkdir()
    (checkout.root / "scenarios" / "one.scenario.yaml").touch()
    program(checkout.root / ".venv/bin/lint-imports", '#!/bin/sh\necho lint-imports >>"$FAKE_LOG"\n')
    return checkout


def asked_since_set_up(checkout: Checkout) -> list[str]:
    return [line for line in checkout.asked if line.startswith(("-m", "lint"))]


@pytest.mark.parametrize(("failing", "code"), [("", 0), ("auto tests", 3), ("scenarios", 3)])
def test_tests_and_scenarios_both_run(ready: Checkout, failing: str, code: int) -> None:
    """A failure of either is the exit code, and does not keep the other from running."""
    assert ready.run("scripts/test", FAKE_FAILS=failing or "nothing").returncode == code
    tests, scenarios = asked_since_set_up(ready)
    assert tests == "-m pytest -m not docker -n auto tests"
    assert scenarios.removesuffix(" -k not redis") == (
        "-m pytest -m not docker -n auto scenarios --hosts process"
    )


def test_an_interrupt_ends_both(ready: Checkout) -> None:
    """Ctrl-C while the tests run does not begin the scenarios."""
    assert ready.run("scripts/test", FAKE_FAILS=" tests", FAKE_CODE="2").returncode == 2
    assert len(asked_since_set_up(ready)) == 1


def test_arguments_go_to_pytest(ready: Checkout) -> None:
    """With arguments scripts/test is pytest, once, with them."""
    assert ready.run("scripts/test", "-k", "a b", FAKE_FAILS="a b").returncode == 3
    assert asked_since_set_up(ready) == ["-m pytest -m not docker -k a b"]


@pytest.mark.parametrize("failing", ["ruff format", "ruff check", "mypy"])
def test_check_names_what_failed_and_runs_the_rest(ready: Checkout, failing: str) -> None:
    """One failing part does not hide another."""
    ended = ready.run("scripts/check", FAKE_FAILS=failing)
    assert ended.returncode == 1
    assert "failed: " in ended.stderr
    assert [line.split()[1] for line in asked_since_set_up(ready) if line != "lint-imports"] == [
        "ruff", "ruff", "mypy",
    ]  # fmt: skip


@pytest.fixture
def ci(checkout: Checkout) -> Checkout:
    """A checkout whose commands print their name, and fail as told."""
    shutil.copytree(ROOT / ".ci", checkout.root / ".ci")
    for part in (*PARTS, *DOCKER):
        name = part.split()[0]
        script = f'#!/bin/sh\necho "ran {part}"\ncase "$FAILING" in {name}) exit 7 ;; esac\n'
        program(checkout.root / name, script)
    return checkout


@pytest.mark.parametrize("failing", ["", "scripts/test-docker", *(part.split()[0] for part in PARTS)])
def test_ci_runs_every_part_and_keeps_the_first_failure(ci: Checkout, failing: str) -> None:
    """Each command is printed before it runs; the exit code is that of the first one that failed."""
    ended = ci.run(".ci/run", FAILING=failing)
    assert ended.returncode == (7 if failing else 0)
    told = [
        line for line in ended.stdout.splitlines() if line and not line.startswith("planted bugs: share ")
    ]
    assert told == [line for part in (*PARTS, *DOCKER) for line in (f"$ {part}", f"ran {part}")]
    assert (f".ci/run failed: {failing}" in ended.stderr) is bool(failing)


def test_ci_says_what_it_leaves_out_where_there_is_no_engine(ci: Checkout) -> None:
    """A machine without a Docker Engine is no failure, and its missing tests are no secret."""
    ended = ci.run(".ci/run", FAILING="docker/engine.sh")
    assert ended.returncode == 0
    assert "left out: scripts/test-docker" in ended.stderr
    assert "ran scripts/test-docker" not in ended.stdout


def test_ci_installs_what_a_bare_machine_lacks(ci: Checkout) -> None:
    """Without a Python that can make environments, Debian's packages are installed first."""
    for name in ("apt-get", "sudo"):
        program(ci.root.parent / "bin" / name, '#!/bin/sh\necho "did: $*"\n')
    program(ci.root.parent / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    assert "install -y -qq --no-install-recommends python3 python3-venv" in ci.run(".ci/run").stdout
