"""`junit.xml` for CI: a suite for each scenario, a case for each step, in the xunit2 form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, TextIO
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from reports.console import block
from reports.model import NOT_RUN, NOT_SELECTED, every_step

if TYPE_CHECKING:
    from reports.model import RunReport, ScenarioReport, StepReport

OUTPUT = 8000
"""Characters of system-out kept for a step."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = {"fail": "failure", "unknown": "error", NOT_RUN: "error", "not-applicable": "skipped"}
_COUNTERS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def clean(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return _NOT_XML.sub("", text)


class JUnit:
    """For CI systems: fail is a failure, unknown and not run are errors, not applicable is skipped."""

    file_name: ClassVar[str] = "junit.xml"

    def render(self, run: RunReport, out: TextIO) -> None:
        root = Element("testsuites", name="muster")
        for scenario in run.scenarios:
            root.append(_suite(scenario, run.directory))
        for name in ("tests", *_COUNTERS):
            root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
        root.set("time", f"{run.seconds:.3f}")
        indent(root)
        out.write('<?xml version="1.0" encoding="utf-8"?>\n')
        ElementTree(root).write(out, encoding="unicode")
        out.write("\n")


def _suite(scenario: ScenarioReport, directory: str) -> Element:
    steps = [step for step in every_step(scenario.steps) if step.status != NOT_SELECTED]
    tags = [_TAGS.get(step.status, "") for step in steps]
    suite = Element("testsuite", name=clean(scenario.id), tests=str(len(steps)))
    for name, tag in _COUNTERS.items():
        suite.set(name, str(tags.count(tag)))
    suite.set("time", f"{scenario.seconds:.3f}")
    suite.set("timestamp", _timestamp(scenario.started))
    _properties(suite, scenario)
    for step in steps:
        suite.append(_case(step, scenario, directory))
    if scenario.cut_short:
        SubElement(suite, "system-err").text = clean(scenario.headline.sentence)
    return suite


def _timestamp(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _properties(suite: Element, scenario: ScenarioReport) -> None:
    known = {
        "scenario": scenario.name,
        "file": scenario.file,
        "verdict": scenario.status,
        "headline": scenario.headline.sentence,
        "hosts": scenario.hosts_kind,
        **{f"param.{name}": str(value) for name, value in scenario.params.items()},
        **{f"environment.{name}": value for name, value in scenario.environment.items()},
    }
    properties = SubElement(suite, "properties")
    for name, value in known.items():
        SubElement(properties, "property", name=clean(name), value=clean(str(value)))


def _case(step: StepReport, scenario: ScenarioReport, directory: str) -> Element:
    took = (step.judged or 0.0) - (step.started or 0.0) if step.judged is not None else 0.0
    name = "::".join(step.path)
    case = Element("testcase", classname=clean(scenario.id), name=clean(name), time=f"{max(took, 0):.3f}")
    tag = _TAGS.get(step.status)
    if tag == "skipped":
        SubElement(case, tag, type=step.status, message=clean(step.message))
    elif tag:
        lines = clean("\n".join(block(step, directory, scenario)))[:OUTPUT]
        SubElement(case, tag, type=step.status, message=clean(step.message)).text = lines
    output = clean("\n".join(f"{line.source}: {line.text}" for line in step.evidence))
    if output and not tag:
        SubElement(case, "system-out").text = output[:OUTPUT]
    return case
