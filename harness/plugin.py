"""The pytest plugin: options, collecting *.scenario.yaml, how verdicts show, exit codes.

Hooks only. What is heavy is imported when the first scenario is collected: a run without any pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SUFFIX = ".scenario.yaml"
UNKNOWN_EXIT = 6
MISTAKE_EXIT = 4
RUN_DIRECTORY = pytest.StashKey["Path"]()
MISTAKES = pytest.StashKey[list[str]]()
LIVE_RUN = pytest.StashKey[Any]()
WRITTEN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `pytest scenarios/`; the same words as `muster run`."""
    group = parser.getgroup("muster", "muster: integration validation of services on several hosts")
    group.addoption(
        "--hosts", default="auto", metavar="KIND", help="where hosts come from: auto, docker, process, ..."
    )
    group.addoption("--inventory", metavar="FILE", help="real servers: a topology with addresses")
    group.addoption(
        "--attach",
        action="append",
        default=[],
        metavar="ADDRESS|NAME=URL",
        help="judge servers that already run; repeatable",
    )
    group.addoption(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a scenario's parameter; repeatable",
    )
    group.addoption("--max-requests", type=int, metavar="N", help="at most N requests a load (attached: 200)")
    group.addoption("--expect-services", type=int, metavar="N", help="at least N services must serve models")
    group.addoption("--token-file", metavar="FILE", help="file with the bearer token of attached servers")
    group.addoption("--keep", action="store_true", help="leave the deployment standing until Ctrl-C")
    group.addoption("--run-dir", metavar="DIR", help="where runs are kept (default: artifacts/)")
    group.addoption(
        "--report",
        action="append",
        default=[],
        metavar="NAME[=PATH]",
        help="a report to write: html, json, junit, markdown (default: all of them in the run directory)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that gives a test function its deployment; refuse reports that do not exist."""
    config.addinivalue_line("markers", "topology(file): the topology a test's `deployment` fixture brings up")
    wanted = [name.partition("=")[0] for name in config.getoption("report")]
    if wanted:
        from reports import REPORTS

        unknown = [name for name in wanted if name not in REPORTS]
        if unknown:
            msg = f"no report is called '{unknown[0]}'; there are {', '.join(REPORTS)}"
            raise pytest.UsageError(msg)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files."""
    if not file_path.name.endswith(SUFFIX):
        return None
    from harness.collecting import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture
def deployment(request: pytest.FixtureRequest) -> Generator[Any, None, None]:
    """The running topology of the test's marker `topology(file)`; see `harness.live`."""
    from harness.functions import live_run_of

    run, root = live_run_of(request)
    request.node.stash[LIVE_RUN] = run
    try:
        yield run.open(root)
    finally:
        run.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that has a deployment on the deployment's own loop."""
    run = pyfuncitem.stash.get(LIVE_RUN, None)
    if run is None:
        return None
    from harness.functions import perform

    perform(run, pyfuncitem)
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scenario file stays on one worker, whatever --dist says; everything else is spread test by test."""
    if config.getoption("dist", "no") not in ("load", "no"):
        return None
    from harness.spreading import WholeScenarios

    return WholeScenarios(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give every worker the same run directory."""
    from harness.collecting import shared_run_directory

    node.workerinput["muster_run_dir"] = str(shared_run_directory(node.config))


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """Mark what a mistaken scenario file reports, so that the exit code can tell it from a broken module."""
    outcome = yield
    if getattr(collector, "muster_mistake", False):
        outcome.get_result().muster = "mistake"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """An unknown verdict is an error (JUnit: `error`), not a failure of the system under test."""
    outcome = yield
    status = getattr(item, "muster_status", "")
    if status and call.when == "call":
        report = outcome.get_result()
        report.muster = status
        if status == "unknown":
            report.when = "setup"


def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:
    """Show unknown verdicts as such."""
    if getattr(report, "muster", "") == "unknown":
        return "unknown", "U", ("UNKNOWN", {"yellow": True, "bold": True})
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Unknown steps with their reasons; the verdict in a sentence; where the reports are."""
    unknown = terminalreporter.stats.get("unknown", [])
    if unknown:
        terminalreporter.section("UNKNOWN", yellow=True, bold=True)
        for report in unknown:
            terminalreporter.write_line(report.longreprtext)
    for line in terminalreporter.config.stash.get(WRITTEN, ()):
        terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Exit codes: 4 for a mistaken scenario, 6 when only something is unknown; write the reports."""
    stats = _stats(session)
    if session.config.stash.get(MISTAKES, None):
        session.exitstatus = MISTAKE_EXIT
    elif exitstatus == pytest.ExitCode.TESTS_FAILED and _only_unknown(stats):
        session.exitstatus = UNKNOWN_EXIT
    if not hasattr(session.config, "workerinput"):
        _report(session.config)


def _only_unknown(stats: dict[str, list[Any]]) -> bool:
    return bool(stats.get("unknown")) and not stats.get("failed") and not stats.get("error")


def _stats(session: pytest.Session) -> dict[str, list[Any]]:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    return getattr(reporter, "stats", {})


def _report(config: pytest.Config) -> None:
    """Write the reports of whatever ran, and keep the lines that tell about it for the summary."""
    directory = config.stash.get(RUN_DIRECTORY, None)
    if directory is None:
        return
    if not any(directory.iterdir()):
        directory.rmdir()
        return
    from harness.errors import EnvironmentFailure
    from reports import verdict_line, write_reports

    wanted = config.getoption("report")
    try:
        written = write_reports(directory, wanted) if wanted else write_reports(directory)
        lines = [
            verdict_line(directory),
            *(f"  {name}: {path}" for name, path in written.items()),
        ]
    except EnvironmentFailure as error:
        lines = [f"no report could be written: {error}"]
    config.stash[WRITTEN] = lines
