"""What every check owes: documented options, an example that loads, and no verdict on nothing."""

import dataclasses
import re
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.checks import CHECKS
from harness.events import LogRead, RequestLogged
from harness.evidence import Evidence
from harness.history import record_from_line, record_to_line
from harness.kind_options import options_of
from harness.scenario import load_scenario
from harness.verdict import Status
from tests.harness.checks.story import ALL_NAMES, Story

SMALLEST: dict[str, Any] = {
    "affinity": (1.0,),
    "answer": ("majority",),
    "assigned": ("all",),
    "availability": (1.0,),
    "circuits": ({"openai": "OPEN"},),
    "distribution": ("even",),
    "healthy": ("all",),
    "infer_result": ({"product": "a * b"},),
    "latency": (1.0,),
    "models": ("all",),
    "moved": ("none",),
    "registered": ("all",),
    "scores": ({"big": 26.5},),
    "served_by": (("babysitter-a-server",),),
    "streamed": (0.5,),
    "unregistered": (("babysitter-a",),),
}
"""Arguments of the smallest instance, where there is a main option."""

TOPOLOGY = """\
  hosts:
    server1:
      registry: {command: [serve], url: "http://{host.address}:18000", speaks: [service_registry]}
      router: {command: [serve], url: "http://{host.address}:8000", speaks: [openai]}
      large: {command: [serve], registers: {big: [model-1], small: [model-1]}}
"""


def smallest(name: str) -> Any:
    return CHECKS[name](*SMALLEST.get(name, ()))


def examples(name: str) -> list[dict[str, Any]]:
    """The steps of a docstring's YAML: each `expect` with what stands above it, or the `checks`."""
    (block,) = re.findall(r"```yaml\n(.*?)```", getdoc(CHECKS[name]) or "", re.DOTALL)
    steps, above = [], ""
    for line in block.splitlines():
        if line.startswith("expect:"):
            steps.append(yaml.safe_load(above + line))
            above = ""
        else:
            above += f"{line}\n"
    return steps or [{"expect": yaml.safe_load(above)["checks"]}]


def scenario(steps: list[dict[str, Any]]) -> str:
    letters = "abcd"
    services = "".join(
        f"      babysitter-{x}: {{command: [serve], registers: "
        f"{{babysitter-{x}: [], babysitter-{x}-server: [model-{1 + i % 2}]}}}}\n"
        for i, x in enumerate(letters)
    )
    named = [{"name": f"example {number}", **step} for number, step in enumerate(steps)]
    return f"version: 1\nscenario: examples\ntopology:\n{TOPOLOGY}{services}" + yaml.safe_dump(
        {"steps": named}
    )


@pytest.mark.parametrize("name", list(CHECKS))
def test_its_example_loads(name: str, tmp_path: Path) -> None:
    """The YAML of a check's docstring is valid as it stands, and makes this check."""
    file = tmp_path / "example.scenario.yaml"
    file.write_text(scenario(examples(name)), encoding="utf-8")
    (loaded,) = load_scenario(file)
    checks = [expect.check for step in loaded.steps for expect in step.expects]
    assert checks
    assert all(isinstance(check, CHECKS[name]) for check in checks)


@pytest.mark.parametrize("name", list(CHECKS))
def test_its_options_are_documented(name: str) -> None:
    """A check is frozen, and every option says what it is; all but the main one are named when given."""
    cls: Any = CHECKS[name]
    assert cls.__dataclass_params__.frozen
    assert [option.key for option in options_of(cls) if not option.about] == []
    assert [f.name for f in dataclasses.fields(cls)[1:] if not f.kw_only] == []


@pytest.mark.parametrize("name", list(CHECKS))
def test_nothing_to_judge_is_no_verdict(name: str) -> None:
    """An empty history is unknown, whatever is asked of it, and for whatever deployment."""
    assert smallest(name).judge(Story().evidence()).status is Status.UNKNOWN
    assert smallest(name).judge(Evidence(records=[], since=0, until=9)).status is Status.UNKNOWN


@pytest.mark.parametrize("name", list(CHECKS))
def test_what_lies_outside_the_window_is_not_judged(name: str) -> None:
    """Observations and requests from before the window, or after its end, are no grounds for a pass."""
    story = Story().entries(1, *ALL_NAMES).models(1, "model-1", "model-2").request(1, "babysitter-a-server")
    assert smallest(name).judge(story.evidence(since=2, until=3)).status is not Status.PASS
    assert smallest(name).judge(story.evidence(since=0, until=0.5)).status is not Status.PASS


@pytest.mark.parametrize("name", list(CHECKS))
def test_the_same_evidence_gives_the_same_verdict(name: str) -> None:
    """Judging twice changes nothing."""
    evidence = Story().entries(1, *ALL_NAMES).request(2, "babysitter-a-server").evidence()
    assert smallest(name).judge(evidence) == smallest(name).judge(evidence)


@pytest.mark.parametrize("name", list(CHECKS))
def test_a_stored_history_gives_the_same_verdict(name: str) -> None:
    """A history that was written and read back is judged as it was when it happened."""
    story = Story().entries(1, *ALL_NAMES).models(1, "model-1", "model-2")
    story.request(2, "babysitter-a-server", claims={"x-served-by": "mock-service-a"})
    story.add(3, RequestLogged(service="babysitter-a", request="mu-load-1-000000", log="a.log", line=1))
    story.add(4, LogRead(service="babysitter-a", log="a.log", lines=1))
    stored = Story(records=[record_from_line(record_to_line(record)) for record in story.records])
    assert smallest(name).judge(stored.evidence()) == smallest(name).judge(story.evidence())
