"""A machine, a user or a file that does not do what it should: the exit code, the words, and nothing left."""

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from system.testing import Running, running
from tests.end_to_end.commands import Ended, call, muster_run, report_in
from tests.end_to_end.left import nothing_left_within
from tests.end_to_end.planting import unchanged

pytestmark = pytest.mark.slow
FAULTS = ["the backend of A is killed", "server 2 dies", "D freezes"]


def scenario(folder: Path, **services: str) -> Path:
    """A scenario with one step, over these services of one host."""
    lines = [f"    {name}: {{{fields}}}" for name, fields in services.items()]
    topology = "\n".join(["topology:", "  hosts:", "   server1:", *lines])
    steps = "steps:\n  - {name: time passes, wait: 10ms}\n"
    file = folder / "bad_day.scenario.yaml"
    file.write_text(f"scenario: a bad day\n{topology}\n{steps}")
    return file


@contextmanager
def muster(file: Path, run_dir: Path, *options: str) -> Iterator[Running]:
    """`muster run` under way, in a process group of its own, as a terminal would start it."""
    argv = ("run", str(file), "--hosts", "process", "--run-dir", str(run_dir), *options)
    with running("harness", *argv, env={"NO_COLOR": "1", "COLUMNS": "1000"}, ready="") as program:
        yield program


# the machine


def test_a_taken_port_is_unknown_and_names_the_holder(tmp_path: Path) -> None:
    """A listener on 0.0.0.0 takes the port on every host: port, host, and whose it is; all else is stopped."""
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        file = scenario(
            tmp_path, registry=f"kind: registry, port: {port}", other="kind: mock-openai, port: 9100"
        )
        ended = muster_run(file, tmp_path / "runs", "--hosts", "process")

    assert ended.code == 6, ended.output
    said = ended.steps["time passes"].message
    assert f"registry cannot start: port {port} of server1" in said
    assert f"is taken by pid {os.getpid()} (" in said
    assert nothing_left_within(2, tmp_path / "runs") == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param("command: [no-such-program]", "no-such-program", id="not there"),
        pytest.param(
            'command: [sh, -c, "echo out of luck; exit 3"], ready: {log: up}', "out of luck", id="ends"
        ),
        pytest.param(
            'command: [sh, -c, "echo idle; exec sleep 60"], ready: {log: up, within: 300ms}',
            "was not ready within 0.3 s",
            id="never ready",
        ),
    ],
)
def test_a_program_that_does_not_come_up_is_unknown(tmp_path: Path, fields: str, words: str) -> None:
    """Its name and its own last words, exit code 6, and nothing of the rest is left running."""
    file = scenario(tmp_path, broken=fields, other="kind: mock-openai, port: 9100")
    ended = muster_run(file, tmp_path / "runs", "--hosts", "process")

    assert ended.code == 6, ended.output
    assert "broken" in ended.steps["time passes"].message
    assert words in ended.output
    assert nothing_left_within(2, tmp_path / "runs") == []


@pytest.mark.parametrize("size", ["12k", "72k", "200k"])
def test_a_full_disk_is_unknown(tmp_path: Path, size: str) -> None:
    """Full at once, while services start, or in mid-run: what could not be written, and never a trace."""
    runs = tmp_path / "runs"
    runs.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs {runs}"
    run = f"exec {call_line(unchanged(tmp_path, FAULTS[:1]), runs)}"
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    ended = call("/usr/bin/env", *own_mounts, "sh", "-c", f"{mount} && {run}")

    assert ended.code == 6, ended.output
    assert "No space left on device; free some space" in ended.output
    assert "Traceback" not in ended.output
    assert nothing_left_within(2, runs) == []


def call_line(file: Path, runs: Path) -> str:
    return f"{Path(sys.executable).parent}/muster run {file} --hosts process --run-dir {runs}"


# the user


def test_ctrl_c_takes_down_and_reports_what_ran(tmp_path: Path) -> None:
    """Once, in mid-run: exit code 130, what passed is kept, what never ran is counted, nothing is left."""
    with muster(unchanged(tmp_path, FAULTS), tmp_path / "runs") as program:
        program.wait_for_line("fault .*kill babysitter-a.backend: proven")
        os.killpg(program.process.pid, signal.SIGINT)
        assert program.wait() == 130

    report = report_in(tmp_path / "runs")
    ended = Ended(130, program.output, report)
    assert report["aborted"]
    assert "CUT SHORT" in report["headline"]["sentence"]
    assert "the router offers every model, once each" in ended.having("pass")
    assert "server 2 dies" in ended.having("never-ran", "not-run", "aborted"), report["counts"]
    assert {path.name for path in (tmp_path / "runs" / "latest").iterdir()} >= {
        *("report.html", "report.json", "junit.xml", "summary.md")
    }
    assert "Traceback" not in program.output
    assert nothing_left_within(2, tmp_path / "runs") == []


@pytest.mark.parametrize("times", [1, 2], ids=["SIGTERM", "SIGTERM twice"])
def test_sigterm_is_a_ctrl_c(tmp_path: Path, times: int) -> None:
    """What a CI system sends ends the run in the same way."""
    with muster(unchanged(tmp_path, FAULTS), tmp_path / "runs") as program:
        program.wait_for_line("PASS +the router offers every model")
        for _ in range(times):
            program.signal(signal.SIGTERM)
        assert program.wait() == 130
    assert report_in(tmp_path / "runs")["aborted"]
    assert nothing_left_within(5, tmp_path / "runs") == []


@pytest.mark.parametrize("pause", [0.0, 0.1, 0.4])
def test_ctrl_c_twice_leaves_nothing(tmp_path: Path, pause: float) -> None:
    """An impatient user gets away sooner, and still nothing stays behind."""
    with muster(unchanged(tmp_path, FAULTS), tmp_path / "runs") as program:
        program.wait_for_line("PASS +the router offers every model")
        os.killpg(program.process.pid, signal.SIGINT)
        time.sleep(pause)
        if program.process.poll() is None:
            os.killpg(program.process.pid, signal.SIGINT)
        assert program.wait() == 130
    assert nothing_left_within(10, tmp_path / "runs") == []


def test_ctrl_c_while_services_start(tmp_path: Path) -> None:
    """Before the first step there is a report as well."""
    with muster(unchanged(tmp_path, FAULTS), tmp_path / "runs") as program:
        program.wait_for_line("ready on server")
        os.killpg(program.process.pid, signal.SIGINT)
        assert program.wait() == 130
    assert report_in(tmp_path / "runs")["aborted"]
    assert nothing_left_within(2, tmp_path / "runs") == []


def test_killed_at_thirty_random_moments(tmp_path: Path) -> None:
    """SIGKILL to muster's whole process group at any moment: within 10 s nothing of its run is left."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    file = unchanged(tmp_path, FAULTS)
    bystander = tmp_path / "bystander"
    with muster(unchanged(make(tmp_path / "other"), FAULTS), bystander) as other:
        with ThreadPoolExecutor(3) as pool:
            left = list(
                pool.map(
                    lambda number: killed_at(file, tmp_path / f"run{number}", moments.uniform(0.1, 4)),
                    range(30),
                )
            )
        assert left == [[]] * 30, f"seed {seed}"
        assert other.wait(60) == 0, other.output


def killed_at(file: Path, run_dir: Path, seconds: float) -> list[str]:
    with muster(file, run_dir) as program:
        time.sleep(seconds)
        os.killpg(program.process.pid, signal.SIGKILL)
        program.wait()
    return nothing_left_within(10, run_dir)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The same file, twice, at the same time: both pass, on addresses of their own."""
    file = unchanged(tmp_path, FAULTS)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda n: muster_run(file, tmp_path / n, "--hosts", "process"), ("one", "two")))

    assert [each.code for each in ended] == [0, 0], ended[0].output + ended[1].output
    hosts = [{host["address"] for host in each.report["scenarios"][0]["hosts"]} for each in ended]
    assert hosts[0].isdisjoint(hosts[1])


# the file


@pytest.mark.parametrize(
    ("mistakes", "words"),
    [
        pytest.param(
            {"kind: router": "kind: ruoter", "port: 8200": "port: 8101"},
            ["Did you mean 'router'?", "port 8101 on server1 is wanted twice"],
            id="services",
        ),
        pytest.param(
            {"registered: all": "registred: all", "{registry.url}/health": "{regstry.url}/health"},
            ["Did you mean 'registered'?", "Did you mean 'registry'?"],
            id="steps",
        ),
    ],
)
def test_a_mistaken_scenario_starts_nothing(
    tmp_path: Path, mistakes: dict[str, str], words: list[str]
) -> None:
    """Each mistake with its line and what was probably meant; exit code 4, no run directory."""
    file = unchanged(tmp_path, [])
    text = file.read_text()
    for right, wrong in mistakes.items():
        text = text.replace(right, wrong, 1)
    file.write_text(text)
    ended = muster_run(file, tmp_path / "runs")

    assert ended.code == 4
    assert [word for word in words if word not in ended.output] == [], ended.output
    assert all(line.startswith(f"{file}:") for line in ended.output.splitlines()), ended.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("scenario: [", "mistaken.scenario.yaml:2: not valid YAML", id="broken YAML"),
        pytest.param("- a\n- b\n", "a scenario is a mapping", id="a list"),
    ],
)
def test_what_is_no_scenario_is_said(tmp_path: Path, text: str, words: str) -> None:
    """Empty, broken or something else: exit code 4 and the place."""
    file = tmp_path / "mistaken.scenario.yaml"
    file.write_text(text)
    ended = muster_run(file, tmp_path / "runs")
    assert (ended.code, words in ended.output, "Traceback" in ended.output) == (4, True, False), ended.output


def test_a_sample_too_small_is_refused_with_the_number(tmp_path: Path) -> None:
    """`requests: 20` cannot show what is asked: how many can, before anything starts."""
    file = unchanged(tmp_path, ["{model} is shared evenly by the services that have it"])
    file.write_text(file.read_text().replace("requests: auto", "requests: 20"))
    ended = muster_run(file, tmp_path / "runs")
    assert ended.code == 4
    assert "20 requests cannot decide this" in ended.output
    assert "takes 195 answers" in ended.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hosts", "proces"], "Did you mean 'process'?"),
        (["--attach", "http://10.0.0.5/"], "give an address alone"),
        (["--token-file", "/nowhere", "--attach", "127.0.0.1"], "/nowhere cannot be read"),
        (["--max-requests", "0"], "not a number above 0"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: list[str], words: str) -> None:
    """Exit code 4 and one line, before anything starts."""
    ended = muster_run(unchanged(tmp_path, []), tmp_path / "runs", *options)
    assert (ended.code, words in ended.output) == (4, True), ended.output
    assert "Traceback" not in ended.output
    assert not list((tmp_path / "runs").glob("*/*/history.jsonl"))
