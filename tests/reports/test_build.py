"""The data model that is built from a run directory."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from harness.artifacts import load_run
from harness.events import Seen, StepJudged
from reports import load_report
from reports.build import build_report, status_of
from reports.model import ScenarioReport, StepReport, every_step
from tests.histories.cast import FORGOTTEN
from tests.reports.runs import STORED


def scenario(name: str) -> ScenarioReport:
    return load_report(STORED / name).scenarios[0]


def step(report: ScenarioReport, name: str) -> StepReport:
    return next(s for s in every_step(report.steps) if s.name == name)


def test_the_headline_names_what_failed_when_who_and_how_to_repeat_it() -> None:
    """A failed run's headline holds the step, its message, the time, the owner, the command and the anchor."""
    headline = load_report(STORED / "failed").headline
    assert headline.sentence.startswith(
        "FAILED at 00:13.627: server 2 is killed > its services are forgotten: "
    )
    assert "babysitter-d-server was still registered" in headline.sentence
    assert headline.where == "scenarios/discovery/two_servers.scenario.yaml:32"
    assert headline.owner == "product"
    assert headline.again.startswith('pytest "scenarios/discovery')
    assert headline.anchor == "discovery.two_servers/server-2-is-killed/its-services-are-forgotten"


def test_a_run_without_a_result_is_never_a_pass() -> None:
    """A run that was cut short while all was well is unknown, aborted, and says how much never ran."""
    report = load_report(STORED / "cut_short")
    assert (report.status, report.aborted) == ("unknown", True)
    assert "CUT SHORT" in report.headline.sentence
    assert "9 of 15 steps never ran" in report.headline.sentence


def test_a_selected_step_that_was_never_judged_spoils_a_pass() -> None:
    """Even when a result says pass, a planned step without a verdict makes the run unknown."""
    (run,) = load_run(STORED / "passed")
    left = [r for r in run.records if not (isinstance(r.event, StepJudged) and r.event.path[-1] == "logs")]
    report = build_report([dataclasses.replace(run, records=left)], STORED / "passed")
    assert report.status == "unknown"
    assert step(report.scenarios[0], "logs").status == "not-run"


def test_a_step_that_was_not_selected_is_not_missed() -> None:
    """A step that was only performed does not count as not run."""
    (run,) = load_run(STORED / "passed")
    steps = tuple(replace(s, selected=s.path[-1] != "logs") for s in run.manifest.steps)
    left = [r for r in run.records if not (isinstance(r.event, StepJudged) and r.event.path[-1] == "logs")]
    chosen = replace(run, manifest=replace(run.manifest, steps=steps), records=left)
    report = build_report([chosen], STORED / "passed")
    assert report.status == "pass"
    assert step(report.scenarios[0], "logs").status == "not-selected"


@pytest.mark.parametrize(("told", "status"), [("pass", "pass"), ("unknown", "unknown"), ("fail", "fail")])
def test_the_runs_own_status_counts_too(told: str, status: str) -> None:
    """A result that is worse than its steps (at_least was missed, a secret was found) is the report's status."""
    (run,) = load_run(STORED / "passed")
    assert status_of(replace(run, result={"status": told}), [], "") == status


def test_the_steps_form_a_tree() -> None:
    """A step inside a fault stands inside the fault's step."""
    report = scenario("failed")
    killed = next(s for s in report.steps if s.name == "server 2 is killed")
    assert [s.name for s in killed.steps] == ["its services are forgotten", "nobody notices"]
    assert len(every_step(report.steps)) == 15


def test_evidence_shows_the_fault_and_what_changed_meanwhile() -> None:
    """The lines below a failing step hold the fault's receipt, the views' changes and what was still wrong."""
    texts = [line.text for line in step(scenario("failed"), FORGOTTEN[-1]).evidence]
    assert texts[0].startswith("kill server2: proven at +0.062 s (process group 4102 is gone")
    assert any(text.endswith("babysitter-c, babysitter-c-server, babysitter-d gone") for text in texts)
    assert texts[-1] == "services: still lists babysitter-d-server"


def test_a_failing_step_points_at_the_line_of_a_log() -> None:
    """The log of the service that the evidence names is given with the line around the first bad observation."""
    look_at = step(scenario("failed"), FORGOTTEN[-1]).look_at
    assert look_at[0] == "logs/server1/registry.log:10"


def test_services_have_bands_of_states() -> None:
    """A service that a fault killed was dead; one that was ended in tear-down is only stopped."""
    (server,) = (host for host in scenario("failed").hosts if host.name == "server2")
    (service,) = (s for s in server.services if s.name == "babysitter-c")
    assert [band.state for band in service.states] == [
        "starting",
        "ready",
        "dead",
        "starting",
        "ready",
        "stopped",
    ]
    assert all(a.end == b.start for a, b in zip(service.states, service.states[1:], strict=False))


def test_faults_carry_their_receipts() -> None:
    """A fault has its times and both receipts; one without a receipt says why."""
    kill, server, router = scenario("failed").faults
    assert kill.requested < (kill.proven or 0) < (kill.healing or 0) < (kill.healed or 0) == kill.ended
    assert kill.receipt == ("process 4711 is gone",)
    assert server.hits == ("babysitter-c", "babysitter-d")
    assert router.proven is None
    assert router.unproven == "its effect could not be proven: process 4051 is still there after 2 s"


def test_a_ghost_is_an_entry_of_something_that_is_down() -> None:
    """The entry that outlived its server is a ghost for as long as the server was dead."""
    rows = {row.name: row for row in scenario("failed").visibility if row.view == "services"}
    (ghost,) = rows["babysitter-d-server"].ghost
    (gone,) = rows["babysitter-c-server"].ghost
    assert ghost.end - ghost.start > 8
    assert gone.end - gone.start == pytest.approx(4, abs=0.6)


def test_loads_have_counts_and_quantiles() -> None:
    """A load tells what was sent, how it ended, who served, and how long it took."""
    even, noticed = scenario("failed").loads
    assert even.served_by == {"babysitter-a-server": 31, "babysitter-c-server": 31}
    assert even.took is not None
    assert 0 < even.took.p50 <= even.took.p90 <= even.took.p99 <= even.took.longest
    assert (noticed.sent, noticed.ok, noticed.failed) == (50, 48, 2)
    assert noticed.errors == {"HTTP 502: backend did not answer": 2}


def test_a_distribution_check_becomes_a_drawing() -> None:
    """The numbers of a distribution check are a distribution with shares, expectation and interval."""
    drawn = step(scenario("failed"), "model 1 is served by both servers, evenly").distribution
    assert drawn is not None
    assert [(s.count, s.expected, s.low, s.high) for s in drawn.shares] == [(31, 0.5, 0.33, 0.67)] * 2


def test_services_that_already_ran_have_states_from_what_was_seen() -> None:
    """Without start events, a service answers or is silent, as observers saw it."""
    (run,) = load_run(STORED / "failed")
    looks = [(0.0, True), (1.0, False), (2.0, True)]
    records = [
        replace(run.records[0], n=n, t=t, event=Seen(source="router", view="health", ok=ok, took=0.1))
        for n, (t, ok) in enumerate(looks)
    ]
    report = build_report([replace(run, records=records)], STORED / "failed").scenarios[0]
    (router,) = (s for host in report.hosts for s in host.services if s.name == "router")
    seen = [(b.state, b.start, b.end) for b in router.states]
    assert seen == [("answering", 0.0, 1.0), ("silent", 1.0, 2.0), ("answering", 2.0, 2.0)]


def test_the_timeline_leaves_out_what_says_nothing_new() -> None:
    """Looks that showed the same again and requests that succeeded are not in the timeline."""
    report = scenario("failed")
    requests = [line for line in report.timeline if line.kind == "request"]
    assert len(requests) == 2
    assert len([line for line in report.timeline if line.kind == "seen"]) < 12
    assert report.requests.total == 112


def test_a_fault_on_a_child_says_nothing_about_its_service() -> None:
    """Killing a backend leaves its babysitter ready, and no entry is called a ghost: nobody saw when it was back."""
    report = scenario("passed")
    states = {s.name: s.states for host in report.hosts for s in host.services}
    assert [band.state for band in states["babysitter-a"]] == ["starting", "ready", "stopped"]
    rows = {row.name: row for row in report.visibility if row.view == "services"}
    assert rows["babysitter-a-server"].ghost == ()


def test_an_actions_verdict_tells_its_receipt() -> None:
    """Where a fault's step expects nothing itself, its message is when it was proven and healed."""
    (run,) = load_run(STORED / "passed")
    done = [
        replace(r, event=replace(r.event, message="done"))
        if isinstance(r.event, StepJudged) and r.event.path == ("the router is killed",)
        else r
        for r in run.records
    ]
    report = build_report([replace(run, records=done)], STORED / "passed").scenarios[0]
    assert step(report, "the router is killed").message == "proven after 10 ms, healed at 00:15.217"
    assert step(report, "the router is killed").does == "kill router"


def test_the_clock_inside_a_fault_starts_with_its_proof() -> None:
    """An expectation alone in a fault is counted from the fault's proof, however late its own step began."""
    (run,) = load_run(STORED / "failed")
    later = [
        replace(r, event=replace(r.event, started=13.5))
        if isinstance(r.event, StepJudged) and r.event.path == FORGOTTEN
        else r
        for r in run.records
    ]
    report = build_report([replace(run, records=later)], STORED / "failed").scenarios[0]
    judged = step(report, FORGOTTEN[-1])
    assert (judged.started, judged.since) == (13.5, report.faults[1].proven)
    assert any(line.text.endswith("babysitter-d gone") for line in judged.evidence)


def test_an_entry_of_a_service_that_is_starting_is_no_ghost() -> None:
    """A service registers before anybody sees it ready: that entry is neither ghost nor blind."""
    (run,) = load_run(STORED / "passed")
    (ready,) = (
        r
        for r in run.records
        if r.event.kind == "service.ready" and getattr(r.event, "service", "") == "registry"
    )
    late = [replace(r, t=5.0) if r is ready else r for r in run.records]
    facts = replace(
        run.manifest.facts,
        services=(replace(run.manifest.facts.services[0], registers={"babysitter-b": ()}),),
    )
    report = build_report(
        [replace(run, records=late, manifest=replace(run.manifest, facts=facts))], STORED / "passed"
    )
    (row,) = (row for row in report.scenarios[0].visibility if row.name == "babysitter-b")
    assert (row.ghost, row.blind) == ((), ())
