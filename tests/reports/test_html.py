"""report.html as a file: complete without a network, and safe whatever a run contains."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports import load_report
from reports.base import write_report
from reports.chart import POINTS, chart_of, ticks
from reports.html import Html
from reports.model import LogReport, RunReport, StepReport
from tests.reports.runs import STORED

HOSTILE = '"><script>alert(1)</script></script><img src=x onerror=alert(2)>{{ 7*7 }}\x1b[31m'


class Tags(HTMLParser):
    """Collects what a page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(run: RunReport, tmp_path: Path) -> tuple[str, Tags]:
    text = write_report(Html(), run, tmp_path / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    return text, tags


@pytest.mark.parametrize("name", ["passed", "failed", "cut_short"])
def test_nothing_in_the_page_points_outside(name: str, tmp_path: Path) -> None:
    """No attribute makes a browser ask anyone: every reference is an anchor, data, or a file of the run."""
    text, tags = page(load_report(STORED / name), tmp_path)
    for tag, attributes in tags.tags:
        assert "src" not in attributes, tag
        assert re.match(r"(#|\./|data:,$)", attributes.get("href") or "#"), (tag, attributes)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "default-src 'none'" in text


def hostile() -> RunReport:
    run = load_report(STORED / "failed")
    scenario = run.scenarios[0]
    step = replace(scenario.steps[0], name=HOSTILE, message=HOSTILE, again=HOSTILE, details=(HOSTILE,))
    log = LogReport(service=HOSTILE, host=HOSTILE, file=f"logs/{HOSTILE}", size=1, tail=(HOSTILE,))
    host = replace(scenario.hosts[0], name=HOSTILE)
    changed = replace(
        scenario,
        name=HOSTILE,
        about=HOSTILE,
        tags=(HOSTILE,),
        steps=(step, *scenario.steps[1:]),
        hosts=(host, *scenario.hosts[1:]),
        logs=(log,),
        environment={HOSTILE: HOSTILE},
        timeline=tuple(replace(line, source=HOSTILE, text=HOSTILE) for line in scenario.timeline),
    )
    return replace(run, directory=HOSTILE, scenarios=(changed,))


def test_hostile_names_and_logs_stay_text(tmp_path: Path) -> None:
    """Markup in names, messages and logs never becomes an element or an attribute."""
    _, good = page(load_report(STORED / "failed"), tmp_path)
    _, bad = page(hostile(), tmp_path)
    assert not [tag for tag, _ in bad.tags if tag == "img"]
    assert not [a for _, attributes in bad.tags for a in attributes if a.startswith("on")]
    scripts = [sum(tag == "script" for tag, _ in found.tags) for found in (good, bad)]
    assert scripts == [2, 2]
    assert any("alert(2)" in text for text in bad.texts)


def test_the_script_is_the_only_one_that_may_run(tmp_path: Path) -> None:
    """The policy allows exactly the page's own script, by its hash."""
    import hashlib

    text, _ = page(load_report(STORED / "failed"), tmp_path)
    allowed = re.search(r"script-src 'sha256-([^']+)'", text)
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert allowed is not None
    assert script is not None
    assert base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode() == allowed[1]


def test_the_verdict_comes_first_and_failures_are_open(tmp_path: Path) -> None:
    """The first text of the page's body is the verdict; steps that failed are open, those that passed are not."""
    text, tags = page(load_report(STORED / "failed"), tmp_path)
    assert text.index("<h1><b>FAILED</b> at 00:13.627") < text.index("<h2>")
    opened = re.findall(r'<li class="step is-([a-z-]+)" id="[^"]+">\s*<details open>', text)
    assert sorted(opened) == ["fail", "fail", "pass", "unknown", "unknown"]  # the pass holds the failures
    assert ("article", {"class": "scenario", "id": "discovery.two_servers"}) in tags.tags


def test_it_reads_without_javascript(tmp_path: Path) -> None:
    """Steps, evidence, faults, hosts and the timeline stand in the markup itself."""
    _, tags = page(load_report(STORED / "failed"), tmp_path)
    said = " ".join(tags.texts)
    for words in ("still lists babysitter-d-server", "process group 4102 is gone", "127.64.1.2", "p = 1"):
        assert words in said
    assert sum(tag == "circle" for tag, _ in tags.tags) > 100


def test_an_aborted_run_has_its_banner(tmp_path: Path) -> None:
    """A run that was cut short says so above everything else."""
    text, _ = page(load_report(STORED / "cut_short"), tmp_path)
    assert text.index("<strong>ABORTED</strong>") < text.index("<h1>")


def test_logs_and_requests_are_packed(tmp_path: Path) -> None:
    """What is heavy can be unpacked to just what the model holds."""
    text, _ = page(load_report(STORED / "failed"), tmp_path)
    packed = re.search(r'class="packed">([^<]+)<', text)
    assert packed is not None
    data = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    scenario = load_report(STORED / "failed").scenarios[0]
    assert [log["service"] for log in data["logs"]] == [log.service for log in scenario.logs]
    assert len(data["requests"]["columns"]["took"]) == scenario.requests.total


def test_many_requests_are_counted_in_cells() -> None:
    """Beyond a number of requests the timeline shows densities, and every request is in one of them."""
    scenario = load_report(STORED / "failed").scenarios[0]
    times = POINTS // scenario.requests.total + 1
    columns = {name: column * times for name, column in scenario.requests.columns.items()}
    many = replace(scenario.requests, columns=columns)
    (lane,) = (lane for lane in chart_of(replace(scenario, requests=many)).lanes if lane.kind == "traffic")
    assert {shape.kind for shape in lane.shapes} == {"cell is-ok", "cell is-error"}
    assert sum(int(shape.title.split()[0]) for shape in lane.shapes) == 112 * times


def test_every_shape_lies_within_the_chart() -> None:
    """No band, window or point is drawn outside of the time axis or below the last lane."""
    for name in ("passed", "failed", "cut_short"):
        chart = chart_of(load_report(STORED / name).scenarios[0])
        for lane in chart.lanes:
            assert lane.y + lane.height <= chart.height
            assert all(s.x >= 0 and s.x + s.width <= 100.01 for s in lane.shapes)
            assert all(s.y >= 0 and s.y + s.height <= lane.height for s in lane.shapes)


@pytest.mark.parametrize("seconds", [0.2, 3.0, 19.0, 75.0, 3600.0, 90_000.0])
def test_the_axis_has_a_few_round_moments(seconds: float) -> None:
    """Any length of run gets a readable axis."""
    assert 1 <= len(list(ticks(seconds))) <= 30


def test_a_run_in_which_nothing_happened_has_a_report(tmp_path: Path) -> None:
    """Even a run that died before its first record can be read."""
    from harness.artifacts import load_run
    from reports.build import build_report

    (run,) = load_run(STORED / "cut_short")
    empty = build_report([replace(run, records=[])], STORED / "cut_short")
    text, _ = page(empty, tmp_path)
    assert "15 of 15 steps never ran" in text
    assert all(isinstance(step, StepReport) and step.status == "not-run" for step in empty.scenarios[0].steps)


def test_scenarios_that_failed_come_first(tmp_path: Path) -> None:
    """In a run of several scenarios, the failed one is listed and drawn before those that passed."""
    import shutil

    for name in ("passed", "failed"):
        shutil.copytree(STORED / name / "discovery.two_servers", tmp_path / "run" / name)
        manifest = tmp_path / "run" / name / "manifest.json"
        manifest.write_text(manifest.read_text().replace("discovery.two_servers", f"discovery.{name}"))
    run = load_report(tmp_path / "run")
    assert run.headline.sentence.endswith("Scenario: two servers, two models (1 of 2 scenarios: fail).")
    text, tags = page(run, tmp_path)
    articles = [attributes["id"] for tag, attributes in tags.tags if tag == "article"]
    assert articles == ["discovery.failed", "discovery.passed"]
    assert text.index('href="#discovery.failed"') < text.index('href="#discovery.passed"')
